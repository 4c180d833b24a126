"""The code as it was before a migration, from the history of the repository, where there is one.

As a command, `python -m tests.faults.history MIGRATION`, it prints the commit.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSIONS = "authservice/storage/migrations/versions"
_WHOLE = {"0002": "d6aa4c6"}
"""Where the commit right before was on its way: its verifier asked for a claim that its server did not write yet."""


def commit_before(migration: str) -> str | None:
    """Return the commit before a migration was written. None where that is not known, as in a shallow clone."""
    if migration in _WHOLE:
        return _WHOLE[migration]
    files = sorted(each.relative_to(ROOT) for each in (ROOT / VERSIONS).glob("[0-9]*.py"))
    # With those after it: some came earlier, and what was before them only had all the others.
    paths = [str(each) for each in files if each.name >= migration]
    try:
        # By the first parents: a migration that came with a branch was not there before the merge.
        command = ("log", "--first-parent", "-m", "--diff-filter=A", "--format=%H", "--", *paths)
        added = _git(*command).decode().split()
        return _git("rev-parse", "--verify", f"{added[-1]}^").decode().strip()
    except (FileNotFoundError, subprocess.CalledProcessError, IndexError):
        return None


def archive(commit: str) -> bytes:
    """Return the server and the client of a commit, as a tar file."""
    return _git("archive", commit, "authservice", "clients/python")


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True).stdout


if __name__ == "__main__":
    print(commit_before(sys.argv[1]))
