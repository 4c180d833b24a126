"""The command as the process that operators start: each verb, each exit code, and what it does not import."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.observed import PASSWORD

CODES = [
    (("--version",), 0),
    (("migrate",), 0),
    (("users", "create", "ada", "--password-stdin"), 0),
    (("users", "list"), 0),
    (("keys", "list"), 0),
    (("config",), 0),
    (("doctor", "--json"), 0),
    (("explain",), 1),
    (("health", "--server", "127.0.0.1:1"), 1),
    (("users", "frobnicate"), 2),
]
AWAY = {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_USER": "u", "JWT_SECRET": "a secret for tests that is long enough"}


def test_each_verb_ends_with_its_exit_code(run_apart: Run) -> None:
    for arguments, code in CODES:
        done = run_apart(*arguments, stdin=PASSWORD + "\n", AUTHSERVICE_PORT="0")
        assert done.returncode == code, done
        assert "Traceback" not in done.stderr
    assert run_apart("serve", DB_USER="u").returncode == 3
    assert run_apart("serve", "--port", "0", **AWAY).returncode == 4
    assert run_apart("migrate", **AWAY).returncode == 4


@pytest.mark.parametrize(
    ("arguments", "not_imported"),
    [
        (("--version",), {"structlog", "pydantic", "sqlalchemy", "grpc", "alembic", "rich"}),
        (("serve", "--help"), {"sqlalchemy", "grpc", "alembic", "rich.console"}),
        (("config",), {"sqlalchemy", "grpc", "alembic", "rich.console"}),
        (("users", "list"), {"alembic", "rich.console", "authservice.transport.server", "authservice.serving.worker"}),
    ],
)
def test_a_command_imports_only_what_it_needs(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], not_imported: set[str]
) -> None:
    run("migrate")
    command = [sys.executable, "-X", "importtime", "-m", "authservice", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60)
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "click" in imported
    assert imported & not_imported == set()


def test_a_token_that_is_pasted_at_a_terminal_is_not_shown(run: Run, tmp_path: Path) -> None:
    run("migrate")
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "authservice", "explain"]
    with subprocess.Popen(
        command, cwd=tmp_path, env={"PATH": os.environ["PATH"]}, stdin=theirs, stdout=theirs, stderr=theirs
    ) as explaining:
        os.close(theirs)
        shown = b""
        while b"press Enter: " not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, b"a-token-canary\n")
        with contextlib.suppress(OSError):  # EIO: nobody has the other end any more.
            while more := os.read(terminal, 1000):
                shown += more
        assert explaining.wait(60) == 1
    os.close(terminal)
    assert b"form" in shown
    assert b"canary" not in shown
