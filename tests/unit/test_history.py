"""`make upgrades` finds the version before each migration in the history, however that came to be."""

import io
import tarfile
from pathlib import Path

from tests.contract import ROOT
from tests.faults.history import VERSIONS, archive, commit_before

MIGRATIONS = sorted(path.name[:4] for path in (ROOT / VERSIONS).glob("[0-9]*.py"))[1:]


def test_each_migration_has_a_version_before_it_or_there_is_no_history() -> None:
    found = {migration: commit_before(migration) for migration in MIGRATIONS}
    assert len(found) >= 8
    missing = {migration for migration, commit in found.items() if commit is None}
    # A copy without its history, or with the end of it alone, has none of the oldest.
    assert not missing or "0003" in missing


def test_the_version_before_a_migration_has_none_of_those_after_it() -> None:
    known = {migration: commit for migration in MIGRATIONS if (commit := commit_before(migration))}
    assert {migration: newest(commit) for migration, commit in known.items() if newest(commit) >= migration} == {}


def newest(commit: str) -> str:
    with tarfile.open(fileobj=io.BytesIO(archive(commit))) as files:
        return max(Path(name).name[:4] for name in files.getnames() if name.startswith(f"{VERSIONS}/0"))
