#!/bin/sh
# Runs the tests of the Python client without the server's packages: python.sh BIN VERSION lowest|newest
# The packages are the oldest, or the newest, that pyproject.toml allows, in an environment of its own, made anew each time.
# Exit code 3: this machine has no such Python.
set -eu
bin=$1 version=$2 which=$3
case $which in
lowest) resolution=lowest-direct ;;
newest) resolution=highest ;;
*) echo "$0: lowest or newest, not $which" >&2 && exit 2 ;;
esac
find_python() {
	for python in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
		"$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null && echo "$python" && return
	done
	echo "Python $version is not on this machine" >&2 && exit 3
}
python=$(find_python)
environment=.cache/client-versions/$("$python" -c "import platform; print(platform.python_version())")-$which
rm -rf "$environment"
"$bin/uv" venv -q --python "$python" "$environment"
install() { "$bin/uv" pip install -q --python "$environment/bin/python" "$@"; }
install --resolution "$resolution" -r pyproject.toml
versions=$("$bin/uv" pip list -q --python "$environment/bin/python" --format freeze)
install --no-deps -e .
# What only the tests need, and what has to be as old as grpcio is. None of it changes what was chosen above.
install grpc-interceptor opentelemetry-instrumentation-grpc opentelemetry-sdk py-grpc-prometheus
install pytest pytest-timeout pytest-xdist hypothesis jsonschema setuptools prometheus-client
ln -s "$(cd "$bin" && pwd)/buf" "$environment/bin/buf"
grpcio=$(echo "$versions" | sed -n 's/^grpcio==//p')
for part in health-checking reflection status testing tools; do install --no-deps "grpcio-$part<=$grpcio"; done
for package in $versions; do
	"$bin/uv" pip list -q --python "$environment/bin/python" --format freeze | grep -qx "$package" \
		|| { echo "$0: $package was replaced by what the tests need" >&2 && exit 1; }
done
echo "$("$environment/bin/python" -V), $which:" $versions
# Old packages of grpcio beside it have stubs of protobuf 5, of which protobuf 6 warns. The client's own are of 6.
# Calls of grpcio 1.71 that end before they are sent complain when they are collected.
# They are not given by -W, which takes a message for plain text and ends it at its first colon.
filters="error
ignore:Exception ignored in. <function InterceptedCall:pytest.PytestUnraisableExceptionWarning
ignore:Protobuf gencode version 5:UserWarning"
# tests/conftest.py is the server's, and so are the tests against it.
PATH="$(cd "$bin" && pwd):$PATH" "$environment/bin/python" -m pytest -n 2 --dist loadfile \
	-o filterwarnings="$filters" --confcutdir=tests/clients \
	--ignore-glob="*_against_service.py" tests/clients tests/vectors
