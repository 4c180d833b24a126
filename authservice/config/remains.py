"""What is left of an embedded database that was there once, so that no new one takes its place without a word."""

from pathlib import Path

from authservice.config.exposure import GENERATED_KEY
from authservice.config.settings import Settings
from authservice.config.variables import ConfigError

WAYS_BACK = (
    "put the file back, or restore it from a backup (docs/operations.md, Backup), or correct AUTHSERVICE_DATA_DIR or "
    "AUTHSERVICE_DATABASE_URL; to begin a new one, in which nobody is registered: `authservice serve --new`"
)


def remains(settings: Settings) -> list[Path]:
    """Return what lies where an embedded database has been: the master key made for it, its log and index.

    These two count only where their file is not there or has no byte: beside one that has, they are its own.
    """
    file = settings.database_file
    if file is None:
        return []
    beside = [] if is_there(file) else [Path(f"{file.resolve()}{suffix}") for suffix in ("-wal", "-shm")]
    if settings.master_key is None and settings.master_key_file is None:
        beside.append((settings.data_dir / GENERATED_KEY).absolute())
    return [path for path in beside if path.exists()]


def is_there(file: Path) -> bool:
    """Tell whether a file is there and has a byte at least. SQLite takes one without as new, and its log with it."""
    return file.exists() and file.stat().st_size > 0


def require_no_remains(settings: Settings, state: str) -> None:
    """Raise ConfigError where a database was that is not there any more. `state` says in what state its file is."""
    if left := remains(settings):
        listed = " and ".join(map(str, left))
        raise ConfigError(
            f"The database {settings.database_file} {state}, and of an earlier one {listed} "
            f"{'is' if len(left) == 1 else 'are'} still there. To do: {WAYS_BACK}."
        )
