"""A worker holds in memory, once for each core, what it serves with, and not what only commands or few callers use."""

import subprocess
import sys

import pytest

ELSEWHERE = {
    "authservice.usecases.admin": "what operators do",
    "typer": "commands",
    "alembic": "migrations",
    "zxcvbn": "asked about new passwords",
    "smtplib": "mail that does not go to a folder",
    "segno": "drawn when somebody sets an app up",
}


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Return what is there before the first call."""
    code = "import sys, authservice.serving.worker; print(*(name for name in sys.modules if sys.modules[name]))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_worker_does_not_import_what_it_may_never_use(imported: set[str], name: str) -> None:
    assert "authservice.usecases.auth" in imported
    assert name not in imported, ELSEWHERE[name]
