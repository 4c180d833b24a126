"""Connections to MySQL and MariaDB, set up to keep what is promised.

A connection may die without a word, and a host may lose its place as the one that is written to while old connections
to it go on answering. So each is looked at when it is taken from the pool, unless that was done just now; if one is not
what it was, all that are older go.
"""

import ssl
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any, cast

from sqlalchemy import URL, Dialect, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from authservice.storage import hosts
from authservice.storage.driver import Connection
from authservice.storage.faults import DATABASE_ERRORS
from authservice.storage.limits import ANSWER_SECONDS, BUSY_SECONDS, RECYCLE_SECONDS, STATEMENT_SECONDS

LOOK_PERIOD = 0.1
"""Seconds after which a connection is looked at once more. A busy one pays for ten round trips a second."""

# Strict, so that too long a value is an error and not cut off. Times are UTC whatever the server's zone.
_SESSION = (
    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE'",
    "time_zone = '+00:00'",
    f"innodb_lock_wait_timeout = {BUSY_SECONDS:.0f}",
)
# Only some servers have these. The first turns a lost update into error 1020. The others make a node of Galera, or a
# member of a group of MySQL, catch up before it reads: without them, 18 and 29 % of reads right after a commit on
# another one were stale.
_OPTIONAL = {
    "innodb_snapshot_isolation": "ON",
    "wsrep_sync_wait": "1",
    "group_replication_consistency": "'BEFORE'",
}
_LOOKED_AT = "looked_at"


class CertificatesUnusable(Exception):
    """The file with certificate authorities. The text says why."""


def open_mysql(urls: Sequence[URL], pool_size: int, ca_file: Path | None) -> Engine:
    """Return an engine for a database on one host or several. Raises CertificatesUnusable."""
    arguments: dict[str, Any] = {
        "connect_timeout": hosts.CONNECT_SECONDS,
        # Of the greeting; a host that hangs takes connections. Once it is made, answers may take longer.
        "read_timeout": hosts.CONNECT_SECONDS,
        "write_timeout": STATEMENT_SECONDS,
        "charset": "utf8mb4",
    }
    if ca_file:
        arguments["ssl"] = _trusting(ca_file)
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

    places = hosts.Hosts(urls)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Dialect, _entry: ConnectionPoolEntry, _: Any, options: dict[str, Any]) -> DBAPIConnection:
        connection = places.connect(lambda **place: Connection(**{**options, **place}))
        give(cast(DBAPIConnection, connection), STATEMENT_SECONDS)
        # Before SQLAlchemy looks at it: in a server's mode of its own, names would have other quotes.
        _set_up(connection)
        return cast(DBAPIConnection, connection)

    @event.listens_for(engine, "connect")
    def made(_connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        entry.info[_LOOKED_AT] = monotonic()

    @event.listens_for(engine, "checkout")
    def look(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: Any) -> None:
        if monotonic() < entry.info[_LOOKED_AT] + LOOK_PERIOD:
            return
        try:
            give(connection, ANSWER_SECONDS)
            hosts.require_writable(cast(Any, connection))
        except (*DATABASE_ERRORS, OSError) as error:
            raise InvalidatePoolError from error  # SQLAlchemy connects anew; what is wrong with that, it raises.
        give(connection, STATEMENT_SECONDS)
        entry.info[_LOOKED_AT] = monotonic()

    return engine


def _set_up(connection: hosts.Driver) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW VARIABLES WHERE Variable_name IN (%s, %s, %s)", tuple(_OPTIONAL))
            optional = [f"{name} = {_OPTIONAL[name]}" for name, _ in cursor.fetchall()]
            cursor.execute("SET SESSION " + ", ".join([*_SESSION, *optional]))
    except BaseException:
        connection.close()
        raise


def give(connection: DBAPIConnection, seconds: float) -> None:
    """Have answers over a connection take no longer than this. The driver has no other way to change it."""
    cast(Any, connection)._read_timeout = seconds


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # Those of ssl are of this kind.
        raise CertificatesUnusable(error.strerror or "it is no PEM file with certificates") from None
