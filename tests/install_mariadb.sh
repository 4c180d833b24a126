#!/bin/sh
# Makes sure that a MariaDB or MySQL server binary is there for the tests to start, if this machine lets us.
# Without one, and without AUTHSERVICE_TEST_DATABASE_URL, the tests that need it are skipped and listed.
set -u
[ -n "${AUTHSERVICE_TEST_DATABASE_URL:-}" ] && exit 0
PATH="$PATH:/usr/sbin"
command -v mariadbd >/dev/null || command -v mysqld >/dev/null && exit 0
command -v apt-get >/dev/null || { echo "No MariaDB and no apt-get: its tests will be skipped."; exit 0; }
as_root=
[ "$(id -u)" = 0 ] || as_root="sudo -n"
echo "Installing mariadb-server for the tests."
export DEBIAN_FRONTEND=noninteractive
{ $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends mariadb-server; } >/dev/null 2>&1 \
	|| echo "mariadb-server could not be installed: its tests will be skipped."
