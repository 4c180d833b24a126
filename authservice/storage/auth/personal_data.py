"""What is held about one person, found by the classification of the columns. See tables/held.py."""

from typing import Any

from sqlalchemy import Column, Connection, Table, delete, select

from authservice.domain.person import Person
from authservice.storage.columns import Id
from authservice.storage.tables.auth import users
from authservice.storage.tables.form import metadata
from authservice.storage.tables.held import of_people, personal


class SqlPersonalData:
    """See ports.PersonalData."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tables(self) -> list[str]:
        """Return the names of the tables that hold something about people."""
        return [table.name for table in of_people() if personal(table)]

    def page(self, person: Person, name: str, after: object, limit: int) -> tuple[list[dict[str, object]], object]:
        """Return the next rows of one table, and where to go on."""
        table, columns = metadata.tables[name], personal(metadata.tables[name])
        by, key = of_people()[table], _key(table)
        query = select(*columns, *([key.label("_key")] if key is not None else [])).where(by.in_(_values(by, person)))
        if key is not None:
            query = query.order_by(key).limit(limit)
            query = query if after is None else query.where(key > after)
        found = self._connection.execute(query).all()
        rows = [dict(zip((column.name for column in columns), row, strict=False)) for row in found]
        return rows, found[-1]._mapping["_key"] if key is not None and len(found) == limit else None

    def erase(self, person: Person, limit: int) -> int:
        """Delete up to `limit` rows about a person, all but the account itself."""
        people, deleted = of_people(), 0
        # Those first that refer to others.
        for table in reversed(metadata.sorted_tables):
            if table in people and table is not users and deleted < limit:
                by = people[table]
                deleted += self._erase(table, by.in_(_values(by, person)), limit - deleted)
        return deleted

    def _erase(self, table: Table, is_theirs: Any, limit: int) -> int:
        key = _key(table)
        if key is not None:
            # The keys first: see expired.py.
            keys = self._connection.execute(select(key).where(is_theirs).order_by(key).limit(limit)).scalars().all()
            if not keys:
                return 0
            is_theirs = is_theirs & key.in_(keys)
        return self._connection.execute(delete(table).where(is_theirs)).rowcount


def _values(by: Column[Any], person: Person) -> list[object]:
    return [person.user_id] if isinstance(by.type, Id) else [person.account, person.codes]


def _key(table: Table) -> Column[Any] | None:
    """Return what tells the rows of one person apart. None where there is one row."""
    by = of_people()[table]
    rest = [column for column in table.primary_key.columns if column is not by]
    assert len(rest) <= 1, f"{table.name} is keyed by more than its person and one column"
    return rest[0] if rest else None
