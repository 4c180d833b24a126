"""The inserts whose spelling differs between SQLite and MySQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import mysql, sqlite


def insert_unless_there(connection: Connection, table: Table, **row: Any) -> None:
    """Insert a row unless its primary key, or what else has to be unique of it, is there already."""
    _insert_unless_there(connection, table, row)


def insert_each_unless_there(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert many rows in the same way."""
    _insert_unless_there(connection, table, rows)


def _insert_unless_there(
    connection: Connection, table: Table, values: dict[str, Any] | Sequence[dict[str, Any]]
) -> None:
    """Insert one row, or a list of them; of a list the statement is compiled anew each time, for a millisecond or two.

    Not by MySQL's INSERT IGNORE, which would also ignore a value that does not fit.
    """
    if connection.dialect.name == "sqlite":
        connection.execute(sqlite.insert(table).values(values).on_conflict_do_nothing())
    else:
        key = table.primary_key.columns[0]
        connection.execute(mysql.insert(table).values(values).on_duplicate_key_update({key.name: key}))


def insert_or_update(connection: Connection, table: Table, row: dict[str, Any], changes: dict[str, Any]) -> None:
    """Insert a row, or apply `changes` (values or expressions over the old row) to the one with its primary key."""
    if connection.dialect.name == "sqlite":
        on_sqlite = sqlite.insert(table).values(**row)
        connection.execute(
            on_sqlite.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changes)
        )
    else:
        connection.execute(mysql.insert(table).values(**row).on_duplicate_key_update(changes))
