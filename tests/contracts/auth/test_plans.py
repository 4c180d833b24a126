"""The hot queries find their rows by key, whatever the optimizer has been told about the tables."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from pymysql.cursors import Cursor
from sqlalchemy import Connection, Engine, Table, insert, select

from authservice.domain.deadline import Deadline
from authservice.domain.session import SessionEnd
from authservice.ports import last_counts
from authservice.storage.auth.live_sessions import QUERY
from authservice.storage.auth.sessions import to_row
from authservice.storage.database import SqlDatabase
from authservice.storage.engine import open_engine
from authservice.storage.tables.auth import sessions, users
from authservice.storage.wording import spelled
from tests.conftest import migrate
from tests.contracts.things import NOW, a_session, a_token, a_user, spent

SESSIONS = 3000
"""So many that looking through them all is seen, or through all users."""
ASKED = 64
_LIES = (
    "UPDATE mysql.innodb_table_stats SET n_rows = IF(table_name = 'sessions', 1000000, 1)"
    " WHERE database_name = DATABASE()",
    "UPDATE mysql.innodb_index_stats SET stat_value = 1000000"
    " WHERE database_name = DATABASE() AND table_name = 'sessions' AND stat_name LIKE 'n_diff%%'",
    "FLUSH TABLES",
)
"""There is one user, and a million sessions of as many users."""


@pytest.fixture(scope="module", params=[1, SESSIONS], ids=["one_user", "many_users"])
def engine(request: pytest.FixtureRequest, new_mariadb_url: Callable[[], str]) -> Iterator[Engine]:
    """Yield a database in which one user has all the sessions, or each session has its own, and statistics that lie."""
    url = new_mariadb_url()
    migrate(url)
    engine = open_engine(url, pool_size=2)
    with engine.begin() as connection:
        for table in ("users", "sessions"):  # Or the server would find the truth by itself, now or later.
            connection.exec_driver_sql(f"ALTER TABLE {table} STATS_PERSISTENT = 1, STATS_AUTO_RECALC = 0")
    database, user = SqlDatabase(engine), a_user()
    database.transact(lambda tx: tx.users.add(user), Deadline.after(20), settle=last_counts)
    owners = [user.id, *(UUID(int=number) for number in range(1, request.param))]
    with engine.begin() as connection:
        first = connection.execute(select(users)).mappings().one()
        _add(connection, users, [{**first, "id": owner, "canonical_name": owner.hex} for owner in owners[1:]])
        row = to_row(a_session(user))
        owned = [{**row, "id": UUID(int=each), "user_id": owners[each % len(owners)]} for each in range(SESSIONS)]
        _add(connection, sessions, owned)
    for lie in _LIES:  # Each with a view of its own: the server writes down what it finds out about other tables, too.
        with engine.begin() as connection:
            connection.exec_driver_sql(lie, ())
    yield engine
    engine.dispose()


def _add(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    for begin in range(0, len(rows), 1000):
        connection.execute(insert(table).values(rows[begin : begin + 1000]))


MOST = 8 * ASKED
"""A look at the session, at its user, and past the end of each range."""


def rows_read(engine: Engine, work: Callable[[], object]) -> int:
    """Return how many rows the hungriest statement of some work has made the server read."""
    statements: list[tuple[str, Any]] = []
    execute = Cursor.execute

    def noted(cursor: Cursor, statement: str, parameters: Any = None) -> int:
        if re.match(r"\s*(SELECT|UPDATE|INSERT)", statement):
            statements.append((statement, parameters))
        return execute(cursor, statement, parameters)

    with patch.object(Cursor, "execute", noted):
        work()
    assert len(statements) > 1
    return max(_reads(engine, statement, parameters) for statement, parameters in statements)


def _reads(engine: Engine, statement: str, parameters: Any) -> int:
    """Run a statement and return how many rows it has made the server read."""
    with engine.connect() as connection:
        connection.exec_driver_sql("FLUSH STATUS")
        connection.exec_driver_sql(statement, parameters)
        counted = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'", ()).all()
        connection.rollback()
    return sum(int(value) for _, value in counted)


def test_verify_reads_what_it_asks_for_and_no_more(engine: Engine) -> None:
    query = spelled(QUERY, ASKED, is_sqlite=False)
    ids = [UUID(int=number).bytes for number in range(ASKED)]
    assert _reads(engine, query, (*ids, "2020-01-01 00:00:00")) <= MOST


def test_refresh_reads_what_it_asks_for_and_no_more(engine: Engine) -> None:
    ids = {UUID(int=number) for number in range(ASKED)}
    asked = [replace(a_session(a_user()), id=each) for each in ids]
    rotations = [spent(each, a_token(each.id, "first"), a_token(each.id, "second", 1)) for each in asked]
    database = SqlDatabase(engine)

    def refresh() -> None:
        database.transact(lambda tx: tx.sessions.hold_each(ids), Deadline.after(20), settle=last_counts)
        database.transact(lambda tx: tx.sessions.rotate_each(rotations, NOW), Deadline.after(20), settle=last_counts)

    assert rows_read(engine, refresh) <= MOST


def test_logout_reads_what_it_asks_for_and_no_more(engine: Engine) -> None:
    ids = {UUID(int=number) for number in range(ASKED)}
    database = SqlDatabase(engine)

    def log_out() -> None:
        work = database.transact
        work(
            lambda tx: tx.sessions.end_each(ids, SessionEnd.LOGOUT, NOW + timedelta(seconds=1)),
            Deadline.after(20),
            settle=last_counts,
        )

    assert rows_read(engine, log_out) <= MOST
