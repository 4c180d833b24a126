#!/bin/sh
# Runs the RPC tests with another version of grpcio, both ways of taking calls: with_grpcio.sh BIN VERSION
# It stands before the packages of BIN in an environment of its own, which is made anew each time.
set -eu
bin=$1 version=$2
environment=.cache/grpcio/$version
rm -rf "$environment"
"$bin/python" -m venv --without-pip "$environment"
python=$environment/bin/python
python3 -m pip --python "$python" install -q --no-deps "grpcio==$version"
packages() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
echo "import site; site.addsitedir('$(packages "$bin/python")')" > "$(packages "$python")/of-the-project.pth"
for entrance in on off; do
	"$python" -c "import grpc; assert grpc.__version__ == '$version', grpc.__version__"
	echo "grpcio $version, entrance $entrance"
	PATH="$(cd "$bin" && pwd):$PATH" AUTHSERVICE_TEST_ENTRANCE=$entrance "$python" -m pytest -n 2 --dist loadfile tests/rpc
done
