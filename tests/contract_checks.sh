#!/bin/sh
# Holds the contract to its rules: style, format, compatibility with the last release, and stubs that are what protos/ says.
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
make -s generate STUBS="$fresh" ORDERS_STUBS="$fresh" >/dev/null
diff -r -x __pycache__ -x py.typed "$fresh/authapi" clients/python/authapi \
	&& diff -r -x __pycache__ "$fresh/orders" examples/orders/orders \
	|| { echo "contract: the committed stubs are stale; run make generate"; exit 1; }
