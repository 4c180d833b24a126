"""The steps of migrations. Each asks first whether it is done.

MySQL and MariaDB commit every statement that changes tables by itself. So a migration that was killed has been done in
part, and goes on from there when it is run again.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op


def create_table(name: str, *parts: Any, **options: Any) -> None:
    """Create a table, unless it is there."""
    if not _database().has_table(name):
        op.create_table(name, *parts, **options)


def create_index(name: str, table: str, columns: Sequence[str]) -> None:
    """Create an index, unless it is there."""
    if name not in {index["name"] for index in _database().get_indexes(table)}:
        op.create_index(name, table, list(columns))


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column, unless it is there."""
    if column.name not in {each["name"] for each in _database().get_columns(table)}:
        op.add_column(table, column)


def _database() -> sa.Inspector:
    # A new one each time: they remember what they have seen.
    return sa.inspect(op.get_bind())
