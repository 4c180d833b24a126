"""RevokeOtherSessions: end all sessions of the caller but the one that calls."""

from dataclasses import dataclass

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.session import SessionEnd
from authservice.ports import Audit, AuthStores, Clock, Database, first_change_counts


@dataclass(frozen=True, slots=True)
class RevokeOtherSessions:
    """Ends sessions of the caller."""

    database: Database[AuthStores]
    clock: Clock
    audit: Audit

    def __call__(self, caller: Caller, deadline: Deadline) -> int:
        """Return how many were live. Raises DeadlineTooShort, StorageUnavailable, Conflict."""
        now = self.clock()
        ended = self.database.transact(
            lambda tx: tx.sessions.end_all(caller.user_id, SessionEnd.REVOKED, now, keep=caller.session_id),
            deadline,
            settle=first_change_counts,
        )
        self.audit.record(
            events.OtherSessionsRevoked(user_id=caller.user_id, session_id=caller.session_id, ended=ended)
        )
        return ended
