"""Reading by the driver itself, for what is asked so often that SQLAlchemy's way to a result costs more than that."""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from time import monotonic
from typing import Any, cast

from sqlalchemy import Engine, event

from authservice.domain.errors import StorageUnavailable
from authservice.storage.embedded_file import IN_PLACE
from authservice.storage.engine import is_sqlite
from authservice.storage.faults import Fault, judge
from authservice.storage.hosts import read_only
from authservice.storage.limits import ANSWER_SECONDS, STATEMENT_SECONDS
from authservice.storage.mysql import LOOK_PERIOD, give
from authservice.storage.wording import as_moment_or_none, spelled


class Reader:
    """One connection outside of transactions, for one thread at a time. Lives as long as the process.

    It goes with those of the engine's pool: what ends them, such as an answer that the host is read-only, ends it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Any = None
        self._is_sqlite = is_sqlite(engine)
        self._is_to_leave = False
        self._require_in_place: Callable[[], None] = _of_a_server
        self._looked_at = 0.0
        event.listen(engine, "engine_disposed", self._leave)

    def read(
        self, statement: str, count: int, parameters: Sequence[Any], witness: int | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a query about so many things, as they are when it is called.

        See wording.spelled. Raises StorageUnavailable.

        Args:
            witness: a column of `{if_writable}`: what a host says that may only be read now does not count. Others may
                have been told of logouts that it has not heard of.
        """
        query = spelled(statement, count, is_sqlite=self._is_sqlite)
        if self._is_to_leave:
            self.close()
        self._look_for_files()
        try:
            return self._query(query, parameters, witness)
        except Exception as error:
            self.close()
            if judge(error) is Fault.UNFORESEEN:
                raise
        try:
            # It may have died of age, or with a restart of the server, and the idle ones with it. Only a connection
            # made now tells whether the database is there.
            self._engine.dispose()
            return self._query(query, parameters, witness)
        except Exception as error:
            self.close()
            if judge(error) is Fault.UNFORESEEN:
                raise
            raise StorageUnavailable from error

    def require_writable(self) -> datetime | None:
        """Raise StorageUnavailable unless this is still a host that may be written to. Keeps it from being idle.

        Returns what its clock says; None where that is this machine's.
        """
        ((_, now),) = self.read("SELECT {if_writable}1), {now}", 0, (), witness=0)
        return as_moment_or_none(now)

    def close(self) -> None:
        """Give the connection back. The next read makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):  # It may be thrown away because it is broken.
                connection.close()

    def _look_for_files(self) -> None:
        """Raise StorageUnavailable unless the embedded database is in place, as far as was seen just now."""
        now = monotonic()
        if self._connection is None or now < self._looked_at + LOOK_PERIOD:
            return
        try:
            self._require_in_place()
        except sqlite3.Error as error:  # The connection stays: what it has open may be all there is of the database.
            raise StorageUnavailable from error
        self._looked_at = now

    def _leave(self, _engine: Engine) -> None:
        self._is_to_leave = True  # Other threads say so, and one of them may be reading now.

    def _query(self, query: str, parameters: Sequence[Any], witness: int | None) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._is_to_leave = False  # Before: whoever says so from now on may mean the one that is made here.
            self._connection = self._connect()
            self._give(STATEMENT_SECONDS)
        cursor = self._connection.cursor()
        cursor.execute(query, parameters)
        rows = cast(list[tuple[Any, ...]], cursor.fetchall())
        cursor.close()
        if witness is not None and any(row[witness] is None for row in rows):
            raise read_only()
        self._give(ANSWER_SECONDS)
        return rows

    def _give(self, seconds: float) -> None:
        # A connection that was good a moment ago may be dead, without a word, so it is not waited for; a database that
        # is slow is, by the next one.
        if not self._is_sqlite:
            give(self._connection.dbapi_connection, seconds)

    def _connect(self) -> Any:
        connection = self._engine.raw_connection()
        self._require_in_place = connection.info.get(IN_PLACE, _of_a_server)
        connection.detach()
        if not self._is_sqlite:
            # Each query has to see the latest commits, not the snapshot of the first.
            cast(Any, connection.dbapi_connection).autocommit(True)
        return connection


def _of_a_server() -> None:
    """Have nothing to say about where files are."""
