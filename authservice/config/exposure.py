"""Files with secrets that others than this user may read or replace."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from authservice.config.settings import Settings
from authservice.config.variables import ENV_FILE

GENERATED_KEY = "master.key"


@dataclass(frozen=True, slots=True)
class Exposure:
    """A file and what is wrong with its mode. Safe to print."""

    what: str
    remedy: str


def exposures(settings: Settings) -> list[Exposure]:
    """Return the files that are open to others: `.env`, those with secrets or keys, and the embedded database."""
    return [found for path in _files(settings) if (found := _exposure(path))]


def _files(settings: Settings) -> Iterator[Path]:
    yield ENV_FILE
    yield settings.master_key_file or settings.data_dir / GENERATED_KEY
    yield from filter(
        None,
        (
            settings.db_password_file,
            settings.jwt_secret_file,
            settings.database_url_file,
            settings.smtp_password_file,
            settings.tls_key_file,
            settings.database_file,
        ),
    )


def _exposure(path: Path) -> Exposure | None:
    try:
        found = path.stat()
    except OSError:
        return None  # Whoever needs it says so.
    if not stat.S_ISREG(found.st_mode) or os.statvfs(path).f_flag & os.ST_RDONLY:
        return None  # What a container mounts to be read alone, its mode cannot be changed.
    # Where it is another's, as what Kubernetes mounts, the group may be the reason that it can be read at all.
    reading = stat.S_IROTH | (stat.S_IRGRP if found.st_uid == os.geteuid() else 0)
    writing = stat.S_IWOTH | stat.S_IWGRP
    may = [word for word, bits in (("read", reading), ("replace", writing)) if found.st_mode & bits]
    if not may:
        return None
    what = f"{path} has the mode {found.st_mode & 0o777:04o}: others may {' and '.join(may)} what is in it"
    return Exposure(what, f"chmod go-{'r' * ('read' in may)}{'w' * ('replace' in may)} {path}")
