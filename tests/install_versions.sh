#!/bin/sh
# Installs what the server needed before each migration, by the pins of that time: install_versions.sh PYTHON FOLDER
# Prints nothing; makes FOLDER/MIGRATION, an environment for each but the first.
set -eu
python=$1 folder=$2
for migration in authservice/storage/migrations/versions/[0-9]*.py; do
	number=$(basename "$migration" | cut -c1-4)
	environment=$folder/$number
	test "$number" != 0001 || continue
	test ! -e "$environment/made" || continue
	rm -rf "$environment"
	"$python" -m venv --without-pip "$environment"
	commit=$("$python" -m tests.faults.history "$number")
	git show "$commit:requirements/server.txt" > "$environment/requirements.txt"
	python3 -m pip --python "$environment/bin/python" install -q --require-hashes -r "$environment/requirements.txt"
	touch "$environment/made"
done
