"""Connections to SQLite, set up to keep what is promised."""

import sqlite3
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from authservice.storage.embedded_file import IN_PLACE, FileId, Files, path_of
from authservice.storage.limits import BUSY_SECONDS

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # WAL with NORMAL may lose acknowledged commits at power loss.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Deleted rows would stay readable in the file. See wiping.py.
    "PRAGMA secure_delete = ON",
    # KiB. Each connection keeps pages of its own, 2,000 unless told, and there are more than threads that call: tens of
    # megabytes once the file has grown. The system's page cache has them as well.
    "PRAGMA cache_size = -64",
)


def open_sqlite(url: URL, pool_size: int, file: FileId | None = None) -> Engine:
    """Return an engine for a SQLite file, which it does not make.

    For `file` see embedded_file.Files.
    """
    path = path_of(url)
    files = Files(path, file) if path else None
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        # Each keeps pages and compiled statements. In turn, all of them would; this way, as many as are needed at once.
        pool_use_lifo=True,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def choose(_dialect: Dialect, _entry: ConnectionPoolEntry, names: list[str], options: dict[str, Any]) -> None:
        if files:
            files.require_connectable()
            names[0], options["uri"] = f"file:{quote(str(path))}?mode=rw", True

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        # The driver would begin transactions by itself, too late and not immediate.
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        if files:
            try:
                files.opened()
            except sqlite3.Error:
                connection.close()
                raise
            entry.info[IN_PLACE] = files.require

    @event.listens_for(engine, "close")
    @event.listens_for(engine, "close_detached")
    def closed(_connection: DBAPIConnection, *_entry: ConnectionPoolEntry) -> None:
        if files:
            files.closed()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A read that turns into a write would be refused at once, whatever the busy time-out says.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
