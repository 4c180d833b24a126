"""Commands with streams that are closed or full, in folders that this user may not read or write, and in C's locale."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from authservice.storage import schema
from tests.faults.processes import SERVING, ServerProcess, wait_until
from tests.mariadb import free_port

PASSWORD = "quiet copper lantern 47 rivers\n"
LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UNPRIVILEGED = [
    "setpriv",
    *(f"--{kind}=-dac_override,-dac_read_search" for kind in ("bounding-set", "inh-caps")),
]
"""What makes of root a user who may not pass over modes."""
NOBODY = 65534

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return what runs the command in a folder, through a shell that knows redirections, with some variables."""

    def run(
        *arguments: str, how: str = "", cwd: Path = tmp_path, under: list[str] | None = None, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        command = shlex.join([*(under or []), sys.executable, "-m", "authservice", *arguments])
        return subprocess.run(
            ["sh", "-c", f"{command} {how}"],
            input=PASSWORD,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=60,
            cwd=cwd,
            env={"PATH": os.environ["PATH"], **variables},
        )

    return run


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder of somebody else, which this user may look into and not write."""
    if os.geteuid() or subprocess.run([*UNPRIVILEGED, "true"], check=False, capture_output=True).returncode:
        pytest.skip("only root can become somebody who may not write")
    folder = tmp_path / "foreign"
    folder.mkdir(mode=0o755)
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    os.chown(folder, os.geteuid(), os.getegid())


@pytest.mark.parametrize("how", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_does_its_work_with_streams_that_are_closed(run: Run, tmp_path: Path, how: str) -> None:
    assert run("migrate", how=how).returncode == 0
    assert (tmp_path / "data/authservice.db").read_bytes().startswith(b"SQLite format 3")
    assert run("users", "list", how=how).returncode == 0


def test_a_command_does_its_work_where_nobody_can_hear_of_it(run: Run) -> None:
    done = run("migrate", how="2> /dev/full")
    assert (done.returncode, done.stdout) == (0, f"Migrated from nothing to {schema.newest()}.\n")
    done = run("users", "create", "ada", "--password-stdin", how="2> /dev/full")
    assert done.returncode == 0, "the audit line is lost, and nothing else"


def test_a_command_that_cannot_print_says_so(run: Run) -> None:
    done = run("config", how="> /dev/full")
    assert (done.returncode, done.stderr) == (1, "No space left on device.\n")


def test_names_are_read_and_printed_in_the_locale_of_c(run: Run) -> None:
    done = run("users", "create", "Zoë", "--password-stdin", **LOCALE)
    assert "Created user Zoë with id" in done.stdout, done.stderr
    assert run("users", "grant", "Zoë", "clerk", **LOCALE).returncode == 0
    listed = run("users", "list", **LOCALE)
    assert "Zoë" in listed.stdout, listed.stderr
    assert "data/Ü/authservice.db" in run("migrate", **LOCALE, AUTHSERVICE_DATA_DIR="data/Ü").stderr


def test_a_folder_that_may_not_be_read_is_named_and_not_a_file_that_may_not_be_there(run: Run, foreign: Path) -> None:
    foreign.chmod(0o700)
    for verb in (("users", "list"), ("migrate",), ("serve",)):
        done = run(*verb, cwd=foreign, under=UNPRIVILEGED)
        assert done.returncode == 3
        assert f"{foreign}: this user may not look for .env in this folder." in done.stderr


def test_where_no_database_can_be_made_nobody_is_advised_to_make_one(run: Run, foreign: Path) -> None:
    done = run("users", "list", cwd=foreign, under=UNPRIVILEGED)
    assert f"let this user write {foreign}" in done.stderr
    assert "authservice migrate" not in done.stderr
    done = run("migrate", cwd=foreign, under=UNPRIVILEGED)
    assert f"{foreign / 'data'}: Permission denied." in done.stderr
    assert done.returncode == 3


def test_a_database_elsewhere_needs_no_folder_here(run: Run, foreign: Path, mariadb_variables: dict[str, str]) -> None:
    for verb in (("migrate",), ("keys", "list")):
        secret = {"JWT_SECRET": "a-secret-of-the-node-application-0123"}
        done = run(*verb, cwd=foreign, under=UNPRIVILEGED, **mariadb_variables, **secret)
        assert done.returncode == 0, done.stderr
    assert list(foreign.iterdir()) == []


def test_a_server_with_streams_that_are_closed_serves_and_ends(tmp_path: Path) -> None:
    server = ServerProcess("sqlite:///authservice.db", tmp_path, ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"))
    server.port = free_port()
    try:
        server.launch()
        wait_until(lambda: server.health() == SERVING, 30, "SERVING")
        os.kill(server.pid, signal.SIGTERM)
        assert server.exit_code() == 0
    finally:
        server.kill_all()
