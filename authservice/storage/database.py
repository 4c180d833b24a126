"""Transactions.

They are committed when the work returns, rolled back when it raises, run again when the database asks for it.
"""

import contextlib
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from authservice.domain.deadline import Deadline
from authservice.domain.errors import Conflict, DeadlineTooShort, StorageUnavailable
from authservice.ports import Transaction, last_counts
from authservice.storage.auth.attempts import SqlAttempts
from authservice.storage.auth.challenges import SqlChallenges
from authservice.storage.auth.email_claims import SqlEmailClaims
from authservice.storage.auth.imports import SqlImports
from authservice.storage.auth.passkeys import SqlPasskeys
from authservice.storage.auth.personal_data import SqlPersonalData
from authservice.storage.auth.second_factor import SqlRecoveryCodes, SqlTotpFactors
from authservice.storage.auth.sessions import SqlSessions
from authservice.storage.auth.users import SqlUsers
from authservice.storage.embedded_file import require_in_place
from authservice.storage.engine import is_sqlite
from authservice.storage.expired import SqlExpired
from authservice.storage.faults import DATABASE_ERRORS, Fault, is_of_this_host, judge
from authservice.storage.hosts import CONNECT_SECONDS
from authservice.storage.limits import BUSY_SECONDS, STATEMENT_SECONDS
from authservice.storage.mail.one_time_tokens import SqlOneTimeTokens
from authservice.storage.mail.outbox import SqlOutbox
from authservice.storage.mail.quotas import SqlMailQuotas
from authservice.storage.mysql import give
from authservice.storage.trust.keys import SqlSealedSecrets, SqlSigningKeys

T = TypeVar("T")

_LOCK_WAIT = "innodb_lock_wait_timeout"

ATTEMPTS = 5
"""How often a transaction that deadlocks is begun. Under contention a third to a half of all attempts may fail."""
ANSWER_SHARE = 0.5
"""What one answer may take of a call's time. The rest is for connecting once more, and to say that it was in vain."""
FIRST_PAUSE = 0.005
"""Seconds, doubled at each attempt, half of it at random, so that the same two transactions do not meet again."""


class SqlTransaction:
    """The stores on one connection. Lives as long as one attempt of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.users = SqlUsers(connection)
        self.sessions = SqlSessions(connection)
        self.attempts = SqlAttempts(connection)
        self.imports = SqlImports(connection)
        self.personal_data = SqlPersonalData(connection)
        self.email_claims = SqlEmailClaims(connection)
        self.one_time_tokens = SqlOneTimeTokens(connection)
        self.outbox = SqlOutbox(connection)
        self.mail_quotas = SqlMailQuotas(connection)
        self.totp_factors = SqlTotpFactors(connection)
        self.recovery_codes = SqlRecoveryCodes(connection)
        self.challenges = SqlChallenges(connection)
        self.passkeys = SqlPasskeys(connection)
        self.signing_keys = SqlSigningKeys(connection)
        self.sealed_secrets = SqlSealedSecrets(connection)
        self.expired = SqlExpired(connection)


class SqlDatabase:
    """Runs transactions on an engine. Lives as long as the process; safe for many threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # SQLite has one writer at a time and lets the others poll for their turn. Within a process, queueing is fairer
        # and faster.
        self._turn = threading.Lock() if is_sqlite(engine) else None
        self.when_revoked: Callable[[], None] = lambda: None
        """Called after each commit that has appended a rule about revoked tokens."""

    def read(self, work: Callable[[Transaction], T], deadline: Deadline) -> T:
        """Run `work`, which changes nothing."""
        return self.transact(work, deadline, settle=last_counts)

    def transact(self, work: Callable[[Transaction], T], deadline: Deadline, *, settle: Callable[[T, T], T]) -> T:
        """Run `work` in a transaction. See ports.Database."""
        connections_lost = 0
        unconfirmed: list[T] = []
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(FIRST_PAUSE * 2**attempt * (0.5 + random.random() / 2))  # noqa: S311  # spreads, hides nothing
            deadline.require(0.0)
            try:
                with self._connect(deadline) as connection:
                    transaction = SqlTransaction(connection)
                    result = _run(work, transaction, connection, deadline, unconfirmed)
            except DATABASE_ERRORS as error:
                fault = judge(error)
                connections_lost += fault is Fault.LOST
                if fault is Fault.UNFORESEEN:
                    raise
                if is_of_this_host(error):
                    # The next call looks for a host that serves, in place of what waits here for this one.
                    self._engine.dispose()
                if fault is Fault.AWAY or connections_lost > 1:
                    raise StorageUnavailable from error
                if fault is Fault.LOST:
                    self._connect_anew(deadline, error)
            else:
                if transaction.sessions.has_revoked:
                    self.when_revoked()
                return settle(unconfirmed[0], result) if unconfirmed else result
        raise Conflict

    def _connect_anew(self, deadline: Deadline, error: Exception) -> None:
        """Have the next attempt make a connection: those that are idle may be as dead as the one that was lost."""
        self._engine.dispose()
        # A caller whose time runs out meanwhile would not hear the reason.
        if deadline.remaining() < CONNECT_SECONDS:
            raise StorageUnavailable from error

    @contextlib.contextmanager
    def _connect(self, deadline: Deadline) -> Iterator[Connection]:
        with self._writers_turn(deadline) as patience, self._engine.connect() as connection:
            if patience is not None:
                driver = connection.connection.dbapi_connection
                assert driver is not None
                driver.execute(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
            require_in_place(connection)
            yield connection
            require_in_place(connection)  # Or what was committed may have gone elsewhere, and must not be acknowledged.

    @contextlib.contextmanager
    def _writers_turn(self, deadline: Deadline) -> Iterator[float | None]:
        """Wait for the turn to write to SQLite; yield the seconds left for other processes. Yields None for MySQL."""
        if self._turn is None:
            yield None
            return
        patience = max(0.0, min(BUSY_SECONDS, deadline.remaining()))
        until = time.monotonic() + patience
        if not self._turn.acquire(timeout=patience):
            if patience < BUSY_SECONDS:
                raise DeadlineTooShort
            raise StorageUnavailable from TimeoutError(f"other writers have had their turn for {BUSY_SECONDS:.0f} s")
        try:
            yield max(0.0, until - time.monotonic())
        finally:
            self._turn.release()


def _run(
    work: Callable[[Transaction], T],
    stores: Transaction,
    connection: Connection,
    deadline: Deadline,
    unconfirmed: list[T],
) -> T:
    """Run one attempt. If the connection is lost while committing, its result is kept as unconfirmed."""
    transaction = connection.begin()
    try:
        if connection.dialect.name == "mysql":
            _bound_waits(connection, deadline)
        result = work(stores)
    except BaseException:
        _end(transaction.rollback, connection)
        raise
    try:
        transaction.commit()
    except SQLAlchemyError as error:
        if judge(error) is Fault.LOST:
            unconfirmed.append(result)
        # Whether it happened or not, nobody may find this transaction still open on a pooled connection.
        connection.invalidate()
        _end(transaction.rollback, connection)
        raise
    return result


def _end(rollback: Callable[[], None], connection: Connection) -> None:
    try:
        rollback()
    except SQLAlchemyError:
        connection.invalidate()


def _bound_waits(connection: Connection, deadline: Deadline) -> None:
    """Bound the wait for locks, and for a database that says nothing so that a caller hears of it in time."""
    # MySQL counts whole seconds. Most calls have more time than the limit that is set already, and need no statement.
    seconds = max(1, min(int(BUSY_SECONDS), math.ceil(deadline.remaining())))
    if connection.info.get(_LOCK_WAIT, int(BUSY_SECONDS)) != seconds:
        connection.exec_driver_sql(f"SET SESSION innodb_lock_wait_timeout = {seconds}")
        connection.info[_LOCK_WAIT] = seconds
    driver = connection.connection.dbapi_connection
    assert driver is not None
    # Longer than any wait for a lock, which has a reason of its own.
    give(driver, min(STATEMENT_SECONDS, max(seconds + 1, deadline.remaining() * ANSWER_SHARE)))
