"""Reading by the driver itself, for what is asked so often that SQLAlchemy's way to a result costs more than that."""

import contextlib
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Engine

from authservice.domain.errors import StorageUnavailable
from authservice.storage.engine import is_sqlite
from authservice.storage.faults import Fault, judge
from authservice.storage.wording import spelled


class Reader:
    """One connection outside of transactions, for one thread at a time. Lives as long as the process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Any = None
        self._is_sqlite = is_sqlite(engine)

    def read(self, statement: str, count: int, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a query about so many things, as they are when it is called.

        See wording.spelled. Raises StorageUnavailable.
        """
        query = spelled(statement, count, is_sqlite=self._is_sqlite)
        try:
            return self._query(query, parameters)
        except Exception as error:
            self.close()
            if judge(error) is Fault.UNFORESEEN:
                raise
        try:
            # It may have died of age, or with a restart of the server, and the idle ones with it. Only a connection
            # made now tells whether the database is there.
            self._engine.dispose()
            return self._query(query, parameters)
        except Exception as error:
            self.close()
            if judge(error) is Fault.UNFORESEEN:
                raise
            raise StorageUnavailable from error

    def close(self) -> None:
        """Give the connection back. The next read makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):  # It may be thrown away because it is broken.
                connection.close()

    def _query(self, query: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = self._connect()
        cursor = self._connection.cursor()
        cursor.execute(query, parameters)
        rows = cursor.fetchall()
        cursor.close()
        return cast(list[tuple[Any, ...]], rows)

    def _connect(self) -> Any:
        connection = self._engine.raw_connection()
        connection.detach()
        if not self._is_sqlite:
            # Each query has to see the latest commits, not the snapshot of the first.
            cast(Any, connection.dbapi_connection).autocommit(True)
        return connection
