"""RemoveTotp: forget the caller's authenticator app."""

from dataclasses import dataclass
from datetime import datetime

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, SecondFactorMissing
from authservice.ports import Audit, AuthStores, Clock, Database, success_counts
from authservice.usecases.steps.remove_totp import remove_totp


@dataclass(frozen=True, slots=True)
class RemoveTotp:
    """Takes second factors away, with every session but the one that calls."""

    database: Database[AuthStores]
    clock: Clock
    audit: Audit

    def __call__(self, caller: Caller, deadline: Deadline) -> int:
        """Return how many other sessions were live and are ended now.

        Raises SecondFactorMissing, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        now = self.clock()
        ended = self.database.transact(lambda tx: self._remove(tx, caller, now), deadline, settle=success_counts)
        if isinstance(ended, AuthError):
            raise ended
        self.audit.record(events.TotpRemoved(user_id=caller.user_id, ended=ended))
        return ended

    def _remove(self, tx: AuthStores, caller: Caller, now: datetime) -> int | AuthError:
        tx.users.lock(caller.user_id)
        ended = remove_totp(tx, caller.user_id, now, keep=caller.session_id)
        return SecondFactorMissing() if ended is None else ended
