"""An embedded database that is gone: no empty one takes its place without a word."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.conftest import MASTER_KEY
from tests.observed import PASSWORD

CREATE = ("users", "create", "ada", "--password-stdin")
VERBS_THAT_MAKE = (("serve", "--port", "0"), ("migrate",), CREATE)


@pytest.fixture
def file(run: Run, tmp_path: Path) -> Path:
    """Return a database with an account, and its key beside it."""
    assert run(*CREATE, stdin=PASSWORD).returncode == 0
    return tmp_path / "data" / "authservice.db"


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("lose", [Path.unlink, empty])
@pytest.mark.parametrize("verb", VERBS_THAT_MAKE, ids=" ".join)
def test_where_only_the_key_is_left_nothing_is_made_and_it_is_said_what_to_do(
    run: Run, file: Path, verb: tuple[str, ...], lose: Callable[[Path], None]
) -> None:
    lose(file)
    done = run(*verb, stdin=PASSWORD)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"The database {file} is not there" in done.stderr
    assert f"and of an earlier one {file.parent}/master.key is still there. To do: put the file back" in done.stderr
    assert "`authservice serve --new`" in done.stderr
    assert not file.exists() or not file.stat().st_size


def test_a_file_without_our_tables_is_not_taken_for_a_new_database(run: Run, file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE notes (text)")
    done = run("migrate")
    assert done.returncode == 3
    assert f"The database {file} is empty, and of an earlier one" in done.stderr


@pytest.mark.parametrize("verb", [("migrate", "--new"), (*CREATE, "--new")], ids=" ".join)
def test_a_new_database_is_made_where_that_is_said(run: Run, file: Path, verb: tuple[str, ...]) -> None:
    file.unlink()
    assert run(*verb, stdin=PASSWORD).returncode == 0
    assert file.stat().st_size
    assert run("users", "create", "bob", "--password-stdin", stdin=PASSWORD).returncode == 0, "with the key of before"
    again = run(*verb, stdin=PASSWORD)
    assert again.returncode == (1 if verb[0] == "users" else 0), "what is there stays"
    assert "bob" in run("users", "list").stdout


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_a_log_without_its_file_counts_as_a_database_that_was_there(run: Run, tmp_path: Path, suffix: str) -> None:
    left = tmp_path / "data" / f"authservice.db{suffix}"
    left.parent.mkdir()
    left.write_bytes(b"what was committed last")
    done = run("migrate", AUTHSERVICE_MASTER_KEY=MASTER_KEY)
    assert done.returncode == 3
    assert f"of an earlier one {left} is still there" in done.stderr
    assert left.read_bytes() == b"what was committed last"


def test_a_key_that_was_configured_says_nothing_of_a_database(run: Run, file: Path) -> None:
    file.unlink()
    key = file.parent / "master.key"
    assert run("migrate", AUTHSERVICE_MASTER_KEY_FILE=str(key)).returncode == 0


def test_doctor_says_what_to_do_about_a_lost_file(run: Run, file: Path) -> None:
    file.unlink()
    rows = {row["check"]: row for row in json.loads(run("doctor", "--json", AUTHSERVICE_PORT="0").stdout)}
    assert rows["database"]["outcome"] == "failed"
    assert rows["database"]["what_to_do"].startswith("put the file back, or restore it from a backup")
    assert not file.exists()
