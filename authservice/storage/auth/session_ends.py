"""Ending single sessions: logouts that arrive together, in one transaction."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from authservice.domain.deadline import Deadline
from authservice.domain.errors import DeadlineTooShort, StorageUnavailable
from authservice.domain.session import SessionEnd
from authservice.ports import AuthStores, Database
from authservice.storage.batches import Batches
from authservice.storage.limits import BUSY_SECONDS


@dataclass(frozen=True, slots=True)
class _Ending:
    session_id: UUID
    now: datetime
    deadline: Deadline


class BatchedSessionEnds:
    """See ports.SessionEnds. Lives as long as the process; safe for many threads."""

    def __init__(self, database: Database[AuthStores]) -> None:
        self._database = database
        self._batches: Batches[_Ending, bool] = Batches(self._end)

    def logout(self, session_id: UUID, now: datetime, deadline: Deadline) -> bool:
        """End one session."""
        # Those before it in line may wait for another writer as long as one call may; it does not begin to wait anew.
        limit = Deadline(min(deadline.at, time.monotonic() + BUSY_SECONDS), deadline.caller_gone)
        try:
            return self._batches.ask(_Ending(session_id, now, limit), limit)
        except DeadlineTooShort:
            if deadline.remaining() > 0 and not deadline.caller_gone():
                raise StorageUnavailable from None
            raise

    def logout_each(self, session_ids: Sequence[UUID], now: datetime, deadline: Deadline) -> list[bool]:
        """End several sessions in one transaction."""
        ended = self._database.transact(
            lambda tx: tx.sessions.end_each(set(session_ids), SessionEnd.LOGOUT, now),
            deadline,
            # What an earlier run ended, the last one finds ended.
            settle=lambda earlier, last: earlier | last,
        )
        return [_take(ended, session_id) for session_id in session_ids]

    def _end(self, endings: Sequence[_Ending]) -> list[bool]:
        # Whoever has more time carries on for the others.
        patience = Deadline(max(ending.deadline.at for ending in endings), lambda: _all_gone(endings))
        now = max(ending.now for ending in endings)
        return self.logout_each([ending.session_id for ending in endings], now, patience)


def _all_gone(endings: Sequence[_Ending]) -> bool:
    return all(ending.deadline.caller_gone() for ending in endings)


def _take(ended: set[UUID], session_id: UUID) -> bool:
    """Tell whether a session was ended, the first time that this is asked: of two calls for one, one has ended it."""
    if session_id in ended:
        ended.remove(session_id)
        return True
    return False
