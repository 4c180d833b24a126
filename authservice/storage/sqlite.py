"""Connections to SQLite, set up to keep what is promised."""

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from authservice.storage.limits import BUSY_SECONDS

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # WAL with NORMAL may lose acknowledged commits at power loss.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)


def open_sqlite(url: URL, pool_size: int) -> Engine:
    """Return an engine for a SQLite file."""
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # The driver would begin transactions by itself, too late and not immediate.
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A read that turns into a write would be refused at once, whatever the busy time-out says.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
