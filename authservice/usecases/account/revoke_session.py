"""RevokeSession: end one session by its owner's word."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import NotPermitted
from authservice.domain.fields import Fields, uuid_of
from authservice.domain.session import SessionEnd
from authservice.ports import Audit, AuthStores, Clock, Database, first_change_counts


@dataclass(frozen=True, slots=True)
class RevokeSession:
    """Ends a session of the caller, which may be the one that calls."""

    database: Database[AuthStores]
    clock: Clock
    audit: Audit

    def __call__(self, text: str, caller: Caller, deadline: Deadline) -> int:
        """End the session of this id. Returns 1 if it was live, 0 if it had ended.

        Raises InvalidInput, NotPermitted, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        fields = Fields()
        asked = fields.read("session_id", uuid_of, text)
        fields.require_valid()
        assert asked is not None
        now = self.clock()
        ended = self.database.transact(
            lambda tx: self._end(tx, asked, caller, now), deadline, settle=first_change_counts
        )
        self.audit.record(events.SessionRevoked(user_id=caller.user_id, session_id=asked, ended=ended))
        return ended

    def _end(self, tx: AuthStores, asked: UUID, caller: Caller, now: datetime) -> int:
        found = tx.sessions.get(asked)
        if found is None or found[1].id != caller.user_id:
            raise NotPermitted("There is no such session of yours.")
        return tx.sessions.end(asked, SessionEnd.REVOKED, now)
