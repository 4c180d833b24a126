"""`make upgrades` finds the version before each migration in the history, however that came to be."""

from tests.contract import ROOT
from tests.faults.history import VERSIONS, commit_before

MIGRATIONS = sorted(path.name[:4] for path in (ROOT / VERSIONS).glob("[0-9]*.py"))[1:]


def test_each_migration_has_a_version_before_it_or_there_is_no_history() -> None:
    found = {migration: commit_before(migration) for migration in MIGRATIONS}
    assert len(found) >= 8
    missing = {migration for migration, commit in found.items() if commit is None}
    # A copy without its history, or with the end of it alone, has none of the oldest.
    assert not missing or "0003" in missing
