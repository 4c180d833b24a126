#!/bin/sh
# Asks the Node application's `dotenv` what each text of cases.json says, and writes its answers there. Needs npm.
# The version is that of the last recording; a later one may be named: tests/dotenv/record.sh 18.1.0
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" "dotenv@${1:-18.0.10}"
cp "$here/record.mjs" "$folder"
node "$folder/record.mjs" "$here/cases.json"
