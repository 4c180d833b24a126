#!/bin/sh
# Makes sure that faketime is there for the tests to set a server's clock, if this machine lets us.
# Without it the tests that need it are skipped and listed.
set -u
for library in /usr/lib/*/faketime/libfaketimeMT.so.1; do [ -e "$library" ] && exit 0; done
command -v apt-get >/dev/null || { echo "No faketime and no apt-get: its tests will be skipped."; exit 0; }
as_root=
[ "$(id -u)" = 0 ] || as_root="sudo -n"
echo "Installing faketime for the tests."
export DEBIAN_FRONTEND=noninteractive
{ $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends faketime; } >/dev/null 2>&1 \
	|| echo "faketime could not be installed: its tests will be skipped."
