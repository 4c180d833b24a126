"""Statements as the driver takes them, for what is asked so often that SQLAlchemy's way costs more than the answer.

They are written once, with gaps for what the two kinds of database spell differently, and for as many parameters as
there are things to ask about.
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPICursor

from authservice.storage.hosts import IS_READ_ONLY

# CROSS JOIN is what SQLite takes for the order of two tables (its manual, section "query planner").
_SQLITE = {"place": "?", "forced": "", "then": "CROSS JOIN", "locked": "", "if_writable": "(", "now": "NULL"}
_MYSQL = {
    "place": "%s",
    "forced": " FORCE INDEX (PRIMARY)",
    "then": "STRAIGHT_JOIN",
    "locked": " FOR UPDATE",
    "if_writable": f"IF({IS_READ_ONLY}, NULL, ",
    "now": "UTC_TIMESTAMP(6)",
}


@functools.lru_cache(1024)
def spelled(statement: str, count: int, *, is_sqlite: bool) -> str:
    """Return a statement about so many things.

    `{places}` becomes their parameters, `{place}` another one, and `{cases}` the branches of a CASE, two parameters
    each. `{forced}`, behind a table, has its rows found by the primary key, and `{then}` joins a table that is to be
    looked at second, whatever old statistics tell the optimizer. `{locked}` locks what a query finds; a transaction of
    SQLite has locked everything. `{if_writable}x)` is x, or NULL at a host that may only be read. `{now}` is the time
    by the clock of the database, NULL where that is this machine's.
    """
    words = _SQLITE if is_sqlite else _MYSQL
    place = words["place"]
    places, cases = ", ".join([place] * count), f"WHEN {place} THEN {place} " * count
    return statement.format(**words, places=places, cases=cases)


def rows(connection: Connection, statement: str, count: int, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
    """Return what a query about so many things finds, in the transaction that a connection is in.

    Raises what the driver raises. See faults.DATABASE_ERRORS.
    """
    with _executed(connection, statement, count, parameters) as cursor:
        return cast(list[tuple[Any, ...]], cursor.fetchall())


def change(connection: Connection, statement: str, count: int, parameters: Sequence[object]) -> int:
    """Do what a statement about so many things says, in the transaction that a connection is in.

    Returns how many rows it has found. Raises what the driver raises. See faults.DATABASE_ERRORS.
    """
    with _executed(connection, statement, count, parameters) as cursor:
        return int(cursor.rowcount)


@contextlib.contextmanager
def _executed(
    connection: Connection, statement: str, count: int, parameters: Sequence[object]
) -> Iterator[DBAPICursor]:
    # Not by SQLAlchemy's `exec_driver_sql`, which takes as long again as the driver.
    with contextlib.closing(connection.connection.cursor()) as cursor:
        cursor.execute(spelled(statement, count, is_sqlite=connection.dialect.name == "sqlite"), tuple(parameters))
        yield cursor


def as_parameter(moment: datetime) -> str:
    """Return a moment as both databases keep it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def as_moment(value: datetime | str) -> datetime:
    """Return the moment that a driver has read: SQLite's answers texts."""
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).replace(tzinfo=UTC)


def as_moment_or_none(value: datetime | str | None) -> datetime | None:
    """Return the moment that a driver has read, if there is one."""
    return None if value is None else as_moment(value)
