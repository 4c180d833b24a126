"""ListSessions: where the caller is logged in."""

from dataclasses import dataclass

from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.session import Session
from authservice.ports import AuthStores, Clock, Database


@dataclass(frozen=True, slots=True)
class ListSessions:
    """Reads the sessions of one user."""

    database: Database[AuthStores]
    clock: Clock

    def __call__(self, caller: Caller, deadline: Deadline) -> list[Session]:
        """Return the live ones, those that were used last first. Raises StorageUnavailable, DeadlineTooShort."""
        now = self.clock()
        return self.database.read(lambda tx: tx.sessions.live_of(caller.user_id, now), deadline)
