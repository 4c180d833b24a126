"""The command, in this process where that is enough and as one of its own where it is not."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import make_url

from authservice.cli import root

CHEAP = {"AUTHSERVICE_BCRYPT_COST": "10"}
"""The least that is allowed. What a hash costs is no matter here."""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_apart(tmp_path: Path) -> Run:
    """Return what runs the command as a process in an empty folder, with little but the given variables."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "authservice", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **CHEAP, **variables},
        )

    return run


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the empty folder that this process is in. What the command sets up for its process is put back."""
    monkeypatch.chdir(tmp_path)
    before, mask = structlog.get_config(), os.umask(0o022)
    yield tmp_path
    os.umask(mask)
    structlog.configure(**before)


@pytest.fixture
def run(in_folder: Path, run_apart: Run) -> Run:
    """Return what does the same as `run_apart` in this process, but for `serve`, which forks."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        if arguments[:1] == ("serve",) and "--help" not in arguments:
            return run_apart(*arguments, stdin=stdin, **variables)
        with CliRunner().isolation(stdin, {**CHEAP, **variables}) as (out, err, _):
            try:
                root.main(arguments)
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            return subprocess.CompletedProcess(arguments, code, out.getvalue().decode(), err.getvalue().decode())

    return run


@pytest.fixture
def mariadb_variables(new_mariadb_url: Callable[[], str]) -> dict[str, str]:
    """Return the Node application's variables for an empty MariaDB database."""
    url = make_url(new_mariadb_url())
    return {
        "DB_HOST": url.host or "",
        "DB_PORT": str(url.port or 3306),
        "DB_USER": url.username or "",
        "DB_PASSWORD": str(url.password or ""),
        "DB_NAME": url.database or "",
    }
