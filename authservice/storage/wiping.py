"""Overwriting what was deleted, where the database is a file of ours.

`PRAGMA secure_delete` (see sqlite.py) has SQLite write zeros over what it deletes. The pages as they were before stay
in the write-ahead log until that is emptied, which SQLite by itself does when the last process leaves. What a server of
MySQL keeps in its logs is up to that server: docs/privacy.md.
"""

import contextlib

from sqlalchemy import Engine

from authservice.domain.errors import StorageUnavailable
from authservice.storage.engine import is_sqlite
from authservice.storage.faults import DATABASE_ERRORS


def wipe(engine: Engine) -> None:
    """Empty the write-ahead log of the embedded database. Nothing on MySQL. Raises StorageUnavailable."""
    if not is_sqlite(engine):
        return
    try:
        with contextlib.closing(engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (is_busy, *_) = cursor.fetchall()[0]
            cursor.close()
    except DATABASE_ERRORS as error:
        raise StorageUnavailable from error
    if is_busy:
        raise StorageUnavailable from TimeoutError("others kept the write-ahead log from being emptied")
