#!/bin/sh
# Runs the client's tests with the oldest and the newest packages on each Python: client_versions.sh BIN VERSION...
# The last lines say what passed, and which Pythons this machine does not have. Fails where something failed, or none is here.
set -u
bin=$1 failed=0 tried=0 summary=
shift
find_python() {
	for python in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
		"$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null && echo "$python" && return
	done
	return 1
}
for version in "$@"; do
	if ! python=$(find_python "$version"); then
		summary="$summary
Python $version: not on this machine, not tried"
		continue
	fi
	for which in lowest newest; do
		tried=1
		if tests/with_client_versions.sh "$bin" "$python" "$which"; then said=passed; else said=FAILED failed=1; fi
		summary="$summary
Python $version, $which: $said"
	done
done
echo "$summary"
[ $tried = 1 ] && exit $failed
