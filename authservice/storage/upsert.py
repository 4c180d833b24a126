"""The inserts whose spelling differs between SQLite and MySQL, built once each: that takes longer than running them."""

import functools
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import mysql, sqlite


def insert_unless_there(connection: Connection, table: Table, **row: Any) -> None:
    """Insert a row unless its primary key, or what else has to be unique of it, is there already."""
    connection.execute(_unless_there(connection.dialect.name, table), row)


def insert_each_unless_there(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert many rows in the same way, by one statement, which is compiled anew: for a millisecond or two."""
    connection.execute(_unless_there(connection.dialect.name, table).values(rows))


def insert_or_update(
    connection: Connection, table: Table, row: dict[str, Any], *, replaced: Sequence[str], added: Sequence[str] = ()
) -> None:
    """Insert a row, or change the one with its primary key.

    Args:
        replaced: the columns of that one which become those of `row`.
        added: the columns which grow by those of `row`.
    """
    connection.execute(_or_update(connection.dialect.name, table, tuple(replaced), tuple(added)), row)


@functools.cache
def _unless_there(dialect: str, table: Table) -> Insert:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    # Not INSERT IGNORE, which would also ignore a value that does not fit.
    key = table.primary_key.columns[0]
    return mysql.insert(table).on_duplicate_key_update({key.name: key})


@functools.cache
def _or_update(dialect: str, table: Table, replaced: tuple[str, ...], added: tuple[str, ...]) -> Insert:
    if dialect == "sqlite":
        on_sqlite = sqlite.insert(table)
        changes = _changes(table, on_sqlite.excluded, replaced, added)
        return on_sqlite.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changes)
    on_mysql = mysql.insert(table)
    return on_mysql.on_duplicate_key_update(_changes(table, on_mysql.inserted, replaced, added))


def _changes(table: Table, new: Any, replaced: Sequence[str], added: Sequence[str]) -> dict[str, Any]:
    return {name: new[name] for name in replaced} | {name: table.c[name] + new[name] for name in added}
