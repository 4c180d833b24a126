#!/bin/sh
# Fetches Oracle's MySQL server into a folder, which may be deleted, and prints the path of a command that runs it.
# Debian's stable release has MariaDB only, its unstable release has MySQL. The server and every library that it needs,
# the C library among them, lie in the folder and run from there: nothing is installed, and no rights are needed.
set -eu
folder=$(mkdir -p "${1:?a folder}" && cd "$1" && pwd)
[ -x "$folder/mysqld" ] && { echo "$folder/mysqld"; exit 0; }

refuse() { echo "No MySQL: $1." >&2; exit 1; }
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || refuse "it comes from Debian's packages, and here is no apt-get"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || refuse "there is no $keyring to check packages with"
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' | head -n 1)
[ -n "$mirror" ] || refuse "apt knows no mirror of Debian; run apt-get update"

echo "Fetching a MySQL server for the tests." >&2
apt=$folder/apt
mkdir -p "$apt/lists/partial" "$apt/archives/partial"
: >"$apt/status"
echo "deb [signed-by=$keyring] $mirror sid main" >"$apt/sources"
cat >"$apt/conf" <<END
Dir::State "$apt";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
Dir::Etc::sourcelist "$apt/sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Install-Recommends "false";
APT::Sandbox::User "$(id -un)";
END
# Of what this machine has installed, apt is told nothing: all that the server needs is fetched.
{ APT_CONFIG=$apt/conf apt-get update && APT_CONFIG=$apt/conf apt-get install -y --download-only mysql-server-core; } \
	>"$folder/log" 2>&1 || refuse "its packages could not be fetched; see $folder/log"
for package in "$apt"/archives/*.deb; do dpkg-deb -x "$package" "$folder/debian"; done
rm -rf "$apt"

cat >"$folder/mysqld.new" <<'END'
#!/bin/sh
usr=$(dirname "$(readlink -f "$0")")/debian/usr
libraries=$usr/lib/$(uname -m)-linux-gnu
exec "$libraries"/ld-linux-*.so.* --library-path "$libraries" "$usr/sbin/mysqld" "$@" "--basedir=$usr"
END
chmod +x "$folder/mysqld.new"
"$folder/mysqld.new" --no-defaults --version >>"$folder/log" 2>&1 || refuse "the server does not start; see $folder/log"
mv "$folder/mysqld.new" "$folder/mysqld"
echo "$folder/mysqld"
