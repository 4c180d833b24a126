"""A real database whose driver fails where a test wants it to, under the use cases as they are.

SQLAlchemy, the pool and the database are the real ones; only a statement or a COMMIT on its way through the driver is
met by an error, by a real KILL of its connection, or by the loss of its answer.
"""

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import pymysql
from sqlalchemy import event

from authservice import bootstrap
from authservice.storage.auth.session_ends import BatchedSessionEnds
from authservice.storage.database import SqlDatabase
from authservice.storage.driver import Connection
from authservice.storage.engine import open_engine

COMMIT = "COMMIT"
POOL_SIZE = 4

Fault = Callable[[Any], None]
"""What happens to a statement. Is given the driver's connection, and raises or returns."""


@dataclass
class Plan:
    """Which statements meet a fault, and a record of all that were sent."""

    sent: list[str] = field(default_factory=list)
    _fault: Fault | None = None
    _at: int = 0
    _times: int = 0
    _after_commit: bool = False
    _victim: str = ""

    def record(self) -> None:
        """Let everything pass from now on."""
        self.sent, self._fault, self._at, self._victim = [], None, 0, ""

    def arm(self, fault: Fault, at: int, times: int = 1, *, after_commit: bool = False) -> None:
        """Let the `at`-th statement from now meet a fault, `times` times in all if it is sent again.

        With `after_commit` the fault meets the answer of a COMMIT in place of the COMMIT.
        """
        self.record()
        self._fault, self._at, self._times, self._after_commit = fault, at, times, after_commit

    def statement(self, connection: Any, text: str) -> None:
        """Note a statement, and let it fail if it is its turn."""
        brief = re.sub(r"\s+", " ", text)
        self.sent.append(brief)
        if len(self.sent) == self._at:
            self._victim = brief
        if brief == self._victim and not self._after_commit:
            self._strike(connection)

    def committed(self, connection: Any) -> None:
        """Let the answer of a COMMIT be lost if it is its turn."""
        if self._victim == COMMIT and self._after_commit:
            self._strike(connection)

    def _strike(self, connection: Any) -> None:
        if self._fault and self._times:
            self._times -= 1
            self._fault(connection)


class FaultyDatabase(SqlDatabase):
    """SqlDatabase on an engine with a plan."""

    def __init__(self, url: str) -> None:
        self.plan = plan = Plan()
        self.engine = open_engine(url, pool_size=POOL_SIZE)
        super().__init__(self.engine)

        class SqliteCursor(sqlite3.Cursor):
            def execute(self, statement: str, *parameters: Any) -> Any:
                if not statement.startswith("PRAGMA"):
                    plan.statement(self.connection, statement)
                return super().execute(statement, *parameters)

        class Sqlite(sqlite3.Connection):
            def cursor(self, factory: Any = SqliteCursor) -> Any:
                return super().cursor(factory)

            def commit(self) -> None:
                plan.statement(self, COMMIT)
                super().commit()
                plan.committed(self)

        class MysqlCursor(pymysql.cursors.Cursor):
            def execute(self, statement: str, *parameters: Any) -> int:
                # What is said now and then is no part of a call: a look at a connection that comes from the pool, and a
                # shorter wait for locks where a call has little time left, as on a busy machine.
                if not any(word in statement for word in ("read_only", "innodb_lock_wait_timeout")):
                    plan.statement(self.connection, statement)
                return super().execute(statement, *parameters)

        class Mysql(Connection):
            def commit(self) -> None:
                plan.statement(self, COMMIT)
                super().commit()
                plan.committed(self)

        @event.listens_for(self.engine, "do_connect")
        def choose(dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
            if dialect.name == "sqlite":
                options["factory"] = Sqlite

        @event.listens_for(self.engine, "connect")
        def turn(connection: Any, _record: Any) -> None:
            """Make the plan's of a connection that the engine has made and set up."""
            if isinstance(connection, Connection):
                connection.__class__, connection.cursorclass = Mysql, MysqlCursor


def with_database(service: bootstrap.Service, database: SqlDatabase) -> bootstrap.Service:
    """Return the service with its stories on another engine, but for what reads beside them: Verify, and the feed."""
    return replace(service, auth=_moved(service.auth, database), account=_moved(service.account, database))


def _moved(part: Any, database: SqlDatabase) -> Any:
    """Return a story on another database, with the steps that it has."""
    if isinstance(part, SqlDatabase):
        return database
    if isinstance(part, BatchedSessionEnds):
        return BatchedSessionEnds(database)
    if is_dataclass(part) and type(part).__module__.startswith("authservice.usecases."):
        return replace(part, **{each.name: _moved(getattr(part, each.name), database) for each in fields(part)})  # type: ignore[type-var]
    return part


def mysql_error(code: int) -> Fault:
    """Return a fault: the error that the driver raises for a code of the server."""

    def fault(_connection: Any) -> None:
        raise pymysql.err.OperationalError(code, "injected")

    return fault


def sqlite_error(code: int, text: str) -> Fault:
    """Return a fault: the error that the driver raises for a result code."""

    def fault(_connection: Any) -> None:
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode = code
        raise error

    return fault


def hang_up(connection: Any) -> None:
    """Lose the connection: what was sent has arrived, what was to be received never will."""
    connection._force_close()
    raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")
