#!/bin/sh
# Runs the clients' tests with the oldest and the newest packages on each of these: each.sh BIN python3.10 go1.25.0 node18...
# The last lines say what passed, and what could not be tried here. Fails where something failed, or nothing could be tried.
set -u
bin=$1 failed=0 tried=0 summary=
shift
for what in "$@"; do
	language=${what%%[0-9]*}
	for which in lowest newest; do
		echo "== $what, $which"
		"tests/client_versions/$language.sh" "$bin" "${what#"$language"}" "$which"
		case $? in
		0) tried=1 said=passed ;;
		3) said="not tried, for the reason above" ;;
		*) failed=1 said=FAILED ;;
		esac
		summary="$summary
$what, $which: $said"
	done
done
echo "$summary"
[ $failed$tried = 01 ]
