#!/bin/sh
# Regenerates the committed stubs from the contract.
#
#   ./generate.sh                      into this folder
#   OUT=$(mktemp -d) ./generate.sh     elsewhere, to compare with what is committed
#   PROTOC=protoc ./generate.sh        with another protoc; relative paths count from this folder
set -eu
cd "$(dirname "$0")"
: "${PROTOC:=../../.venv/bin/python -m grpc_tools.protoc}"
: "${OUT:=.}"
module=authservice/clients/go

# $PROTOC is split into words on purpose: it may be a command with arguments.
$PROTOC -I ../../protos -I ../../examples/orders/protos \
	--plugin=protoc-gen-go="$(go tool -n protoc-gen-go)" \
	--plugin=protoc-gen-go-grpc="$(go tool -n protoc-gen-go-grpc)" \
	--go_out="$OUT" --go_opt=module=$module \
	--go-grpc_out="$OUT" --go-grpc_opt=module=$module \
	../../protos/authapi/v1/*.proto ../../examples/orders/protos/orders/v1/*.proto
