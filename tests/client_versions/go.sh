#!/bin/sh
# Runs the tests of the Go client on another Go: go.sh BIN VERSION lowest|newest. VERSION is that of a release, as 1.25.0.
# The lowest packages are those of go.mod, since Go takes the floor where nobody asks for more.
# Exit code 3: this Go cannot be had here, or is too old for the newest packages.
set -eu
version=$2 which=$3
cd clients/go
export GOTOOLCHAIN="go$version" GOFLAGS="${GOFLAGS:-} -mod=mod"
go version || exit 3
case $which in
lowest) module=go.mod ;;
newest)
	module=../../.cache/client-versions/go$version/go.mod
	mkdir -p "$(dirname "$module")"
	cp go.mod go.sum "$(dirname "$module")"
	if ! said=$(go get -modfile="$module" -u -t ./... 2>&1); then
		echo "$said" >&2
		case $said in *"requires go >="*) exit 3 ;; *) exit 1 ;; esac
	fi
	;;
*) echo "$0: lowest or newest, not $which" >&2 && exit 2 ;;
esac
go list -modfile="$module" -m google.golang.org/grpc google.golang.org/protobuf google.golang.org/genproto/googleapis/rpc
go vet -modfile="$module" ./...
go test -modfile="$module" -count=1 ./...
