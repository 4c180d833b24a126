"""The command as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return what runs the command in an empty folder, with nothing but the given variables."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "authservice", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **variables},
        )

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
