"""Whether sessions are alive, for Verify: every answer read from the database, calls that arrive together in one query.

One lookup costs MariaDB and the driver about as much as the whole rest of a call; thirty-two in one query cost little
more than one. So one thread at a time reads. Those that arrive meanwhile wait in line; when the reader is done it wakes
the first of them, which reads for all who wait by then. A query therefore never starts before the calls that it
answers, and at low load a call reads for itself without waiting for anyone.
"""

import contextlib
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Engine

from authservice.domain.deadline import Deadline
from authservice.domain.errors import DeadlineTooShort, StorageUnavailable
from authservice.storage.engine import is_sqlite
from authservice.storage.faults import Fault, judge

_QUERY = """
    SELECT sessions.id, sessions.user_id FROM sessions JOIN users ON users.id = sessions.user_id
    WHERE sessions.id IN ({places}) AND sessions.ended_at IS NULL AND sessions.idle_end > {place}
    AND users.disabled_at IS NULL
"""


class _Ticket:
    """One call in line. `gate` opens when it is answered, or when it is its turn to read."""

    __slots__ = ("error", "gate", "now", "owner", "reads", "session_id")

    def __init__(self, session_id: bytes, now: datetime) -> None:
        self.session_id = session_id
        self.now = now
        self.gate = threading.Lock()
        self.gate.acquire()
        self.reads = False
        self.owner: bytes | None = None
        self.error: Exception | None = None


class BatchedLiveSessions:
    """See ports.LiveSessions. Lives as long as the process; safe for many threads. Holds one connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._place = "?" if is_sqlite(engine) else "%s"
        self._queries: dict[int, str] = {}
        self._connection: Any = None
        self._lock = threading.Lock()
        self._line: list[_Ticket] = []
        self._reading = False

    def is_live(self, session_id: UUID, user_id: UUID, now: datetime, deadline: Deadline) -> bool:
        """Tell whether the session is live and this user's, and the user active, from a read that starts now."""
        ticket = None
        with self._lock:
            if self._reading:
                ticket = _Ticket(session_id.bytes, now)
                self._line.append(ticket)
            self._reading = True
        if ticket is None:
            try:
                return self._read([session_id.bytes], now).get(session_id.bytes) == user_id.bytes
            finally:
                self._pass_on()
        if self._wait(ticket, deadline):
            self._read_for_the_line()
        if ticket.error:
            raise ticket.error
        return ticket.owner == user_id.bytes

    def close(self) -> None:
        """Give the connection back."""
        self._drop_connection()

    def _wait(self, ticket: _Ticket, deadline: Deadline) -> bool:
        """Wait for an answer, or for the turn to read. Tells whether it is the turn. Raises DeadlineTooShort."""
        if not ticket.gate.acquire(timeout=max(0.0, deadline.remaining())):
            with self._lock:
                if ticket in self._line and not ticket.reads:
                    self._line.remove(ticket)
                    raise DeadlineTooShort
            # Too late to leave: the answer is on its way, or the others count on this ticket to read.
            ticket.gate.acquire()
        return ticket.reads

    def _read_for_the_line(self) -> None:
        with self._lock:
            batch, self._line = self._line, []
        try:
            owners = self._read([ticket.session_id for ticket in batch], max(ticket.now for ticket in batch))
            for ticket in batch:
                ticket.owner = owners.get(ticket.session_id)
        except Exception as error:
            for ticket in batch:
                ticket.error = error
        finally:
            self._pass_on()
            for ticket in batch:
                if not ticket.reads:
                    ticket.gate.release()

    def _pass_on(self) -> None:
        with self._lock:
            self._reading = bool(self._line)
            if self._line:
                self._line[0].reads = True
                self._line[0].gate.release()

    def _read(self, session_ids: Sequence[bytes], now: datetime) -> dict[bytes, bytes]:
        try:
            return self._query(session_ids, now)
        except Exception as error:
            self._drop_connection()
            if judge(error) is Fault.UNFORESEEN:
                raise
        try:
            # It may have died of age, or with a restart of the server, and the idle ones with it. Only a connection
            # made now tells whether the database is there.
            self._engine.dispose()
            return self._query(session_ids, now)
        except Exception as error:
            self._drop_connection()
            if judge(error) is Fault.UNFORESEEN:
                raise
            raise StorageUnavailable from error

    def _query(self, session_ids: Sequence[bytes], now: datetime) -> dict[bytes, bytes]:
        # The driver itself: SQLAlchemy's way to a result costs more than the result.
        if self._connection is None:
            self._connection = self._connect()
        cursor = self._connection.cursor()
        cursor.execute(self._query_for(len(session_ids)), (*session_ids, _naive_utc(now)))
        rows = cursor.fetchall()
        cursor.close()
        return dict(rows)

    def _query_for(self, count: int) -> str:
        query = self._queries.get(count)
        if query is None:
            places = ", ".join([self._place] * count)
            query = self._queries[count] = _QUERY.format(places=places, place=self._place)
        return query

    def _connect(self) -> Any:
        connection = self._engine.raw_connection()
        connection.detach()
        if not is_sqlite(self._engine):
            # Each query has to see the latest commits, not the snapshot of the first.
            cast(Any, connection.dbapi_connection).autocommit(True)
        return connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):  # It may be thrown away because it is broken.
                connection.close()


def _naive_utc(moment: datetime) -> str:
    # As both databases keep it.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
