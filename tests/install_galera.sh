#!/bin/sh
# Makes sure that what three Galera nodes need is there, if this machine lets us.
set -u
tests/install_mariadb.sh
[ -e /usr/lib/galera/libgalera_smm.so ] && command -v rsync >/dev/null && exit 0
command -v apt-get >/dev/null || { echo "No Galera and no apt-get."; exit 1; }
as_root=
[ "$(id -u)" = 0 ] || as_root="sudo -n"
echo "Installing galera-4 and rsync for the tests."
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends galera-4 rsync >/dev/null 2>&1 \
	|| { echo "galera-4 and rsync could not be installed."; exit 1; }
