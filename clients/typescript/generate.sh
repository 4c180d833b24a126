#!/bin/sh
# Regenerates the stubs. PROTOC is the protoc command, OUT another folder than src/gen, for comparing.
set -eu
cd "$(dirname "$0")"
PROTOC=${PROTOC:-../../.venv/bin/python -m grpc_tools.protoc}
OUT=${OUT:-src/gen}

mkdir -p "$OUT"
# $PROTOC unquoted: it may hold arguments.
$PROTOC -I ../../protos -I ../../examples/orders/protos -I protos \
	--plugin=protoc-gen-es=node_modules/.bin/protoc-gen-es \
	--es_out="$OUT" --es_opt=target=ts,import_extension=js \
	../../protos/authapi/v1/*.proto ../../examples/orders/protos/orders/v1/*.proto protos/google/rpc/*.proto
