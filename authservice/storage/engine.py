"""Connections, set up so that the two kinds of database keep the same promises."""

import ssl
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any, cast

import pymysql
from sqlalchemy import URL, Dialect, Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from authservice.storage import hosts
from authservice.storage.driver import Connection as DriverConnection

__all__ = [
    "BUSY_SECONDS",
    "STATEMENT_SECONDS",
    "AddressUnusable",
    "Engine",
    "is_sqlite",
    "open_engine",
]

BUSY_SECONDS = 5.0
"""How long a write may wait for another writer before the caller is told to come back."""
STATEMENT_SECONDS = 10
"""How long one answer of MySQL may take; as long as the longest call."""
RECYCLE_SECONDS = 1800
"""Connections are replaced well before the shortest usual wait_timeout."""

_HOW_IT_LOOKS = (
    "AUTHSERVICE_DATABASE_URL looks like mysql://user:password@host:3306/name, with %40 for an @ in the password, or "
    "like sqlite:////path/to/file."
)
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # WAL with NORMAL may lose acknowledged commits at power loss.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)
# Strict, so that too long a value is an error and not cut off. Times are UTC whatever the server's zone.
_MYSQL_SESSION = (
    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE'",
    "time_zone = '+00:00'",
    f"innodb_lock_wait_timeout = {BUSY_SECONDS:.0f}",
)
# Only some servers have these. The first turns a lost update into error 1020. The second makes a Galera node catch up
# before it reads: without it, 18 % of reads right after a commit on another node were stale.
_MYSQL_OPTIONAL = {"innodb_snapshot_isolation": "ON", "wsrep_sync_wait": "1"}


class UnknownDatabase(ValueError):
    """The address is of a kind of database that is not supported."""


class AddressUnusable(Exception):
    """The address, or what belongs to it, makes no connection. The text has nothing of it: a password is in it."""


def open_engine(url: str | URL, *, pool_size: int, ca_file: Path | None = None) -> Engine:
    """Return an engine for a SQLite or MySQL/MariaDB address. It connects when first used and must not cross a fork.

    An address of MySQL or MariaDB may name several hosts. See hosts.split.

    Raises ValueError for any other kind of database, AddressUnusable.
    """
    try:
        urls = hosts.split(url) if isinstance(url, str) else (url,)
        for each in urls:
            (each.host or "").encode("idna")
        engine = _open(urls, pool_size, ca_file)
        # What is wrong with its options would come out when it connects, as an error of any kind.
        _, options = engine.dialect.create_connect_args(urls[0])
    except (ArgumentError, ValueError) as error:
        if isinstance(error, UnknownDatabase):
            raise
        raise AddressUnusable(_HOW_IT_LOOKS) from None
    if not is_sqlite(engine) and not options.keys() <= signature(pymysql.Connection.__init__).parameters.keys():
        raise AddressUnusable(f"AUTHSERVICE_DATABASE_URL has an option that the driver does not know. {_HOW_IT_LOOKS}")
    return engine


def _open(urls: Sequence[URL], pool_size: int, ca_file: Path | None) -> Engine:
    match urls[0].get_backend_name():
        case "sqlite":
            return _open_sqlite(urls[0], pool_size)
        case "mysql" | "mariadb":
            return _open_mysql(urls, pool_size, ca_file)
    raise UnknownDatabase(f"unknown database {urls[0].get_backend_name()!r}; sqlite and mysql are known")


def is_sqlite(engine: Engine) -> bool:
    """Tell whether the engine is the embedded database."""
    return engine.dialect.name == "sqlite"


def _open_sqlite(url: URL, pool_size: int) -> Engine:
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
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A read that turns into a write would be refused at once, whatever the busy time-out says.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _open_mysql(urls: Sequence[URL], pool_size: int, ca_file: Path | None) -> Engine:
    arguments: dict[str, Any] = {
        "connect_timeout": hosts.CONNECT_SECONDS,
        # Of the greeting; a host that hangs takes connections. Once it is made, answers may take longer.
        "read_timeout": hosts.CONNECT_SECONDS,
        "write_timeout": STATEMENT_SECONDS,
        "charset": "utf8mb4",
    }
    if ca_file:
        try:
            arguments["ssl"] = ssl.create_default_context(cafile=str(ca_file))
        except OSError as error:  # Those of ssl are of this kind.
            reason = error.strerror or "it is no PEM file with certificates"
            raise AddressUnusable(f"AUTHSERVICE_DATABASE_CA_FILE: {ca_file}: {reason}.") from None
    engine = create_engine(
        urls[0].set(drivername="mysql+pymysql"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        pool_recycle=RECYCLE_SECONDS,
        # Every transaction is ended where it is begun; another ROLLBACK would be one more round trip.
        pool_reset_on_return=None,
        connect_args=arguments,
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Dialect, _entry: ConnectionPoolEntry, _: Any, options: dict[str, Any]) -> DBAPIConnection:
        def open_one(**place: Any) -> DriverConnection:
            return DriverConnection(**{**options, **place})

        return cast(DBAPIConnection, hosts.connect(urls, open_one) if len(urls) > 1 else open_one())

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cast(Any, connection)._read_timeout = STATEMENT_SECONDS  # The driver has no other way to change it.
        cursor = connection.cursor()
        cursor.execute("SHOW VARIABLES WHERE Variable_name IN (%s, %s)", tuple(_MYSQL_OPTIONAL))
        optional = [f"{name} = {_MYSQL_OPTIONAL[name]}" for name, _ in cursor.fetchall()]
        cursor.execute("SET SESSION " + ", ".join([*_MYSQL_SESSION, *optional]))
        cursor.close()

    return engine
