#!/bin/sh
# Asks those who know whether there are known advisories about what is pinned: advisories.sh LANGUAGE...
# Exit code 0: none. 1: there are some, or somebody could not be asked, which is no better for who relies on the answer.
# Without a connection, what is known stands in tests/unit/test_supply_chain.py, which every `make test` looks at.
set -u
failed=0
ask() { # WHAT FOLDER COMMAND...
	echo "== $1"
	folder=$2
	shift 2
	(cd "$folder" && "$@") || { failed=1 && echo "-> advisories, or nobody who could tell: see above"; }
}
python() {
	tools=.cache/advisories
	if ! [ -x $tools/bin/pip-audit ]; then
		python3 -m venv --without-pip $tools
		python3 -m pip --python $tools/bin/python install -q --require-hashes -r requirements/advisories.txt
	fi
	for lock in requirements/*.txt; do
		# Strict: a package that nobody knows anything of would be passed over.
		ask "$lock" . $tools/bin/pip-audit --strict --progress-spinner off --no-deps --disable-pip -r "$lock"
	done
}
go_newest() { # go.mod names the oldest that will do, and is no advice to run with it. Asked about is the newest.
	copy=.cache/advisories/go
	rm -rf $copy && mkdir -p $copy && cp -r clients/go/. $copy
	(cd $copy && go get -u ./...) || failed=1
	ask clients/go $copy go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...
}
for language in "$@"; do
	case $language in
	python) python ;;
	go) go_newest ;;
	typescript) ask clients/typescript clients/typescript npm audit --package-lock-only ;;
	*) echo "$0: nothing is pinned in $language; there are python, go, typescript" >&2 && exit 2 ;;
	esac
done
exit $failed
