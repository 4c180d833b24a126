"""EnrollTotp: begin to set up an authenticator app."""

from dataclasses import dataclass

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import SessionEnded
from authservice.domain.second_factor import TotpEnrollment
from authservice.ports import Audit, AuthStores, Clock, Database, last_counts
from authservice.usecases.steps import enroll_totp
from authservice.usecases.steps.hold_caller import hold_caller, require_strongest


@dataclass(frozen=True, slots=True)
class EnrollTotp:
    """Shows secrets that count for nothing yet."""

    database: Database[AuthStores]
    enroll: enroll_totp.EnrollTotp
    clock: Clock
    audit: Audit

    def __call__(self, caller: Caller, deadline: Deadline) -> TotpEnrollment:
        """Return what the app needs to know.

        Raises SecondFactorExists, MfaRequired, SessionEnded, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        user = self.database.read(lambda tx: tx.users.get(caller.user_id), deadline)
        if user is None:
            raise SessionEnded
        factor, enrollment = self.enroll.new_factor(user, self.clock())

        def store(tx: AuthStores) -> None:
            current, session = hold_caller(tx, caller, factor.created_at)
            require_strongest(tx, current, session.auth_methods)
            self.enroll.begin(tx, factor)

        self.database.transact(store, deadline, settle=last_counts)
        self.audit.record(events.TotpShown(user_id=user.id))
        return enrollment
