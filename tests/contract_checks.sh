#!/bin/sh
# Holds the contract to its rules: style, format, compatibility with the last release, and stubs of each language that are
# what protos/ says.
set -eu
bin=$1
"$bin/buf" lint
"$bin/buf" format --diff --exit-code

base=$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify --quiet origin/main || git rev-parse --verify --quiet main || true)
if [ -n "$base" ] && git cat-file -e "$base:protos" 2>/dev/null; then
	"$bin/buf" breaking --against ".git#ref=$base"
else
	echo "contract: no earlier contract to compare with"
fi

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

# require_same FRESH COMMITTED PATTERN
require_same() {
	for folder in "$1" "$2"; do
		(cd "$folder" && find . \( -name node_modules -o -name __pycache__ \) -prune -o -name "$3" -print | sort)
	done | sort | uniq -u | grep . && stale "$2"
	(cd "$1" && find . -name "$3") | while read -r file; do diff "$1/$file" "$2/$file" || stale "$2"; done
}

stale() {
	echo "contract: the stubs in $1 are stale; run make generate"
	exit 1
}

mkdir "$fresh/python" "$fresh/orders" "$fresh/go" "$fresh/typescript"
make -s generate-python STUBS="$fresh/python" ORDERS_STUBS="$fresh/orders" >/dev/null
require_same "$fresh/python" clients/python '*_pb2*.py*'
require_same "$fresh/orders" examples/orders '*_pb2*.py*'
if command -v go >/dev/null; then
	OUT="$fresh/go" clients/go/generate.sh
	require_same "$fresh/go" clients/go '*.pb.go'
else
	echo "contract: without go, the stubs of Go were not looked at"
fi
if [ -x clients/typescript/node_modules/.bin/protoc-gen-es ]; then
	OUT="$fresh/typescript" clients/typescript/generate.sh
	require_same "$fresh/typescript" clients/typescript/src/gen '*_pb.ts'
else
	echo "contract: before npm ci in clients/typescript, the stubs there were not looked at"
fi
