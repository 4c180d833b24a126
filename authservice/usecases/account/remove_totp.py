"""RemoveTotp: forget the caller's authenticator app."""

from dataclasses import dataclass
from datetime import datetime

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, SecondFactorMissing
from authservice.domain.session import SessionEnd
from authservice.ports import Audit, AuthStores, Clock, Database, success_counts


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
        if not tx.totp_factors.remove(caller.user_id):
            return SecondFactorMissing()
        tx.recovery_codes.replace(caller.user_id, [], now)
        tx.users.begin_secret_generation(caller.user_id)
        return tx.sessions.end_all(caller.user_id, SessionEnd.FACTOR_REMOVED, now, keep=caller.session_id)
