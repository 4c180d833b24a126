"""The code as it was before a migration, from the history of the repository, where there is one."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSIONS = "authservice/storage/migrations/versions"


def commit_before(migration: str) -> str | None:
    """Return the commit before a migration was written. None where that is not known, as in a shallow clone."""
    path = next((ROOT / VERSIONS).glob(f"{migration}_*.py")).relative_to(ROOT)
    try:
        added = _git("log", "--diff-filter=A", "--format=%H", "--", str(path)).decode().split()
        return _git("rev-parse", "--verify", f"{added[-1]}^").decode().strip()
    except (FileNotFoundError, subprocess.CalledProcessError, IndexError):
        return None


def archive(commit: str) -> bytes:
    """Return the server and the client of a commit, as a tar file."""
    return _git("archive", commit, "authservice", "clients/python")


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True).stdout
