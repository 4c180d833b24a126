"""Whether tokens still count, for Verify: read from the database each time, together for calls that come together."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Engine

from authservice.domain.deadline import Deadline
from authservice.domain.session import Standing
from authservice.storage.batches import Batches
from authservice.storage.reader import Reader, as_parameter

_QUERY = """
    SELECT sessions.id, sessions.user_id, users.generation FROM sessions JOIN users ON users.id = sessions.user_id
    WHERE sessions.id IN ({places}) AND sessions.ended_at IS NULL AND sessions.idle_end > {place}
    AND users.disabled_at IS NULL
"""

_Row: TypeAlias = tuple[bytes, int]
"""Whose a live session is, and that user's generation."""


class BatchedLiveSessions:
    """See ports.LiveSessions. Lives as long as the process; safe for many threads. Holds one connection."""

    def __init__(self, engine: Engine) -> None:
        self._reader = Reader(engine)
        self._queries: dict[int, str] = {}
        self._batches: Batches[tuple[bytes, datetime], _Row | None] = Batches(self._read)

    def judge(self, session_id: UUID, user_id: UUID, generation: int, now: datetime, deadline: Deadline) -> Standing:
        """Say what a token is worth, from a read that starts now."""
        row = self._batches.ask((session_id.bytes, now), deadline)
        if row is None or row[0] != user_id.bytes:
            return Standing.SESSION_OVER
        return Standing.GOOD if generation >= row[1] else Standing.OUTDATED

    def close(self) -> None:
        """Give the connection back."""
        self._reader.close()

    def _read(self, asked: Sequence[tuple[bytes, datetime]]) -> list[_Row | None]:
        session_ids = [session_id for session_id, _ in asked]
        now = max(moment for _, moment in asked)
        rows = self._reader.read(self._query_for(len(session_ids)), (*session_ids, as_parameter(now)))
        live = {session_id: (owner, generation) for session_id, owner, generation in rows}
        return [live.get(session_id) for session_id in session_ids]

    def _query_for(self, count: int) -> str:
        query = self._queries.get(count)
        if query is None:
            place = self._reader.place
            query = self._queries[count] = _QUERY.format(places=", ".join([place] * count), place=place)
        return query
