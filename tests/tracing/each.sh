#!/bin/sh
# Runs the tests of the Go and TypeScript clients once more, with OpenTelemetry around every call: each.sh go typescript
# In copies, because neither client is to need it. What is fetched is pinned by hash: in go.sum, and in otel/package-lock.json.
# With PIN=1 go.sum is written anew, as after a change of the client's go.mod. npm install in otel does that for the other.
set -eu
root=$PWD
copy_of() { # a copy of clients/$1 beside the vectors, made anew
	folder=.cache/tracing
	rm -rf "${folder:?}/$1"
	mkdir -p "$folder"
	[ -e "$folder/vectors" ] || ln -s "$root/clients/vectors" "$folder/vectors"
	git ls-files -z "clients/$1" | xargs -0 tar -c | tar -x -C "$folder" --strip-components=1
	cd "$folder/$1"
}
go_traced() {
	copy_of go
	otel=go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc
	cp "$root/tests/tracing/go.sum" . # What is there is compared, and what is not would be added.
	go get "$otel@v0.72.0"
	[ -z "${PIN:-}" ] || cp go.sum "$root/tests/tracing"
	cmp go.sum "$root/tests/tracing/go.sum" || { echo "$0: something is fetched that is not pinned. See PIN in it." >&2 && exit 1; }
	# The servers and the connections of the tests are made in one place each.
	sed -i -e "s|^import (|&\n\t\"$otel\"|" \
		-e 's|grpc\.NewServer(|&grpc.StatsHandler(otelgrpc.NewServerHandler()),|' \
		-e 's|\[\]grpc\.DialOption{|&grpc.WithStatsHandler(otelgrpc.NewClientHandler()),|' authclient/world_test.go
	[ "$(grep -c 'otelgrpc\.New' authclient/world_test.go)" -ge 3 ] || { echo "$0: nothing is traced" >&2 && exit 1; }
	go test -count=1 ./authclient
}
typescript_traced() {
	copy_of typescript
	npm ci --no-audit --no-fund --loglevel=error --ignore-scripts
	rm -rf ../otel
	cp -R "$root/tests/tracing/otel" ..
	(cd ../otel && npm ci --no-audit --no-fund --loglevel=error --ignore-scripts)
	npx tsc
	NODE_OPTIONS="--import $PWD/../otel/otel.mjs" node --test --test-timeout=120000 \
		dist/test/streams.test.js dist/test/guard.test.js dist/test/watch.test.js dist/test/moving.test.js > tests.log ||
		{ grep "^not ok" tests.log; exit 1; }
	tail -8 tests.log
	grep -q "traced calls: [1-9]" tests.log || { echo "$0: nothing was traced" >&2 && exit 1; }
}
for language in "$@"; do (cd "$root" && "${language}_traced"); done
