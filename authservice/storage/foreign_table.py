"""A table of users in the database of another application, read and nothing else."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Column, Engine, MetaData, Row, Table, create_engine, event, func, select, tuple_
from sqlalchemy.exc import NoSuchTableError

from authservice.domain.user_import import ForeignUser

_PAGE = 1000
_CONNECT_SECONDS = 10


class ForeignTableUnusable(Exception):
    """The table cannot be read. The text says why and what to do."""


class ForeignTable:
    """Reads one table. Lives as long as one import; `close` gives its connection back.

    Raises ForeignTableUnusable, and what the driver raises where the database is away or refuses.

    Args:
        url: of MySQL, MariaDB or SQLite.
        columns: those of the user name, the hash, and the e-mail address if there is one.
    """

    def __init__(self, url: URL, table: str, columns: tuple[str, str, str | None]) -> None:
        self._engine = _engine(url)
        try:
            self._table = Table(table, MetaData(), autoload_with=self._engine)
        except NoSuchTableError:
            raise ForeignTableUnusable(f"There is no table {table} in that database.") from None
        self._columns = [self._column(name) for name in columns if name]

    def count(self) -> int:
        """Return how many rows there are."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(self._table)).scalar_one()

    def rows(self) -> Iterator[ForeignUser]:
        """Yield the rows in the order of the primary key, a page at a time.

        So nothing that runs for as long as the import holds up the other application, or has to be read to its end
        where the import is interrupted. A table without a primary key is read at once.
        """
        number, last = 0, None
        while page := self._page(last):
            for row in page:
                number += 1
                name, password_hash, *email = map(_text, row[: len(self._columns)])
                yield ForeignUser(number, name, password_hash, *email)
            last = page[-1][len(self._columns) :]
            if not last:
                return

    def _page(self, last: Sequence[Any] | None) -> Sequence[Row[Any]]:
        """Return the rows that follow the key `last`, each with its key behind it."""
        key = list(self._table.primary_key.columns)
        query = select(*self._columns, *(column.label(f"key_{n}") for n, column in enumerate(key)))
        if key:
            query = query.order_by(*key).limit(_PAGE)
        if last:
            query = query.where(tuple_(*key) > tuple_(*last))
        with self._engine.connect() as connection:
            return connection.execute(query).all()

    def close(self) -> None:
        """Give the connection back."""
        self._engine.dispose()

    def _column(self, name: str) -> Column[Any]:
        if name not in self._table.c:
            there = ", ".join(self._table.c.keys())
            raise ForeignTableUnusable(f"The table {self._table.name} has no column {name}. It has {there}.")
        return self._table.c[name]


def _engine(url: URL) -> Engine:
    match url.get_backend_name():
        case "sqlite":
            path = Path(url.database or "")
            if not path.is_file():  # It would be made.
                raise ForeignTableUnusable(f"There is no database {path.absolute()}.")
            engine = create_engine(url)
            event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
            return engine
        case "mysql" | "mariadb":
            address = url.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"})
            return create_engine(address, connect_args={"connect_timeout": _CONNECT_SECONDS})
    raise ForeignTableUnusable("Only mysql:// and sqlite:/// are read. Export the table of any other database as CSV.")


def _text(value: Any) -> str:
    """Return a value as text: NULL is empty, and bytes are UTF-8."""
    if value is None:
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
