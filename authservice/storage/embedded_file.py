"""The file of the embedded database, and whether it is still the one that is open.

SQLite does not notice that its file was moved, deleted or replaced: it goes on in the one that it has open, which
nobody will find again. The log (`-wal`) beside it holds what was committed last, and its index (`-shm`) says where.
"""

import os
import sqlite3
import threading
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import URL, Connection, PoolProxiedConnection

FileId: TypeAlias = tuple[int, int]
"""Device and number: the same file, whatever it is called."""
IN_PLACE = "in_place"
"""What a connection is kept with that says whether its files are in place."""


def path_of(url: URL) -> Path | None:
    """Return the absolute path of a database that is a file named as one. None for memory, and for SQLite's URIs."""
    name = url.database or ""
    return Path(name).absolute() if name and not name.startswith((":memory:", "file:")) else None


def file_id(path: str | Path) -> FileId | None:
    """Return which file is at a path, None if there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def make_file(url: URL) -> None:
    """Make an empty file where there is none, which is an empty database."""
    if path := path_of(url):
        path.touch(mode=0o600)


class Files:
    """The files of one engine, and where they have to be. Lives as long as the engine; safe for many threads.

    As long as a connection lives, the log and its index stay as they are, and with them all other connections.

    Args:
        file: which one the database is, if that is known. Otherwise the one that is there at the first connection.
    """

    def __init__(self, path: Path, file: FileId | None = None) -> None:
        # SQLite puts what lies beside a file where a link to it leads. Texts, because they are looked up faster.
        self._paths = [str(path), f"{path.resolve()}-wal", f"{path.resolve()}-shm"]
        self._file = file
        self._ids: list[FileId | None] = []
        self._connections = 0
        self._lock = threading.Lock()

    def require_connectable(self) -> None:
        """Raise as `require` where a connection would be one to other files, which it could harm."""
        if self._connections:
            self.require()
        elif self._file not in (None, file_id(self._paths[0])):
            raise self._moved()

    def opened(self) -> None:
        """Take note of a connection that was made just now. Raises as `require`."""
        with self._lock:
            if not self._connections:
                self._ids = [self._file, None, None]
            self._compare(self._found())
            self._file = self._ids[0]
            self._connections += 1

    def closed(self) -> None:
        """Take note that a connection has gone."""
        with self._lock:
            self._connections -= 1

    def require(self) -> None:
        """Raise sqlite3.OperationalError, as SQLite does where it notices by itself, unless they are in place."""
        found = self._found()
        if found != self._ids:
            with self._lock:
                self._compare(found)

    def _compare(self, found: list[FileId | None]) -> None:
        # A new database has no log before it is written to.
        expected = [known or new for known, new in zip(self._ids, found, strict=True)]
        if expected != found:
            raise self._moved()
        self._ids = expected

    def _found(self) -> list[FileId | None]:
        return [file_id(path) for path in self._paths]

    def _moved(self) -> sqlite3.OperationalError:
        error = sqlite3.OperationalError(
            f"{self._paths[0]} or its -wal or -shm was moved, deleted or replaced while it was in use; put it back, or "
            "stop this server, restore the database and start again"
        )
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY_DBMOVED
        return error


def require_in_place(connection: Connection | PoolProxiedConnection) -> None:
    """Raise sqlite3.OperationalError unless the files of a connection are in place. A server has none."""
    if require := connection.info.get(IN_PLACE):
        require()
