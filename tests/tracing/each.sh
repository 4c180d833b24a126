#!/bin/sh
# Runs the tests of the Go and TypeScript clients once more, with OpenTelemetry around every call: each.sh go typescript
# In copies, because neither client is to need it.
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
	go get "$otel@v0.72.0"
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
	npm install --no-save --no-audit --no-fund --loglevel=error --ignore-scripts \
		@opentelemetry/instrumentation@0.223.0 @opentelemetry/instrumentation-grpc@0.223.0 @opentelemetry/sdk-trace-node@2.12.1
	cp "$root/tests/tracing/otel.mjs" .
	npx tsc
	NODE_OPTIONS="--import $PWD/otel.mjs" node --test --test-timeout=120000 \
		dist/test/streams.test.js dist/test/guard.test.js dist/test/watch.test.js dist/test/moving.test.js > tests.log ||
		{ grep "^not ok" tests.log; exit 1; }
	tail -8 tests.log
	grep -q "traced calls: [1-9]" tests.log || { echo "$0: nothing was traced" >&2 && exit 1; }
}
for language in "$@"; do (cd "$root" && "${language}_traced"); done
