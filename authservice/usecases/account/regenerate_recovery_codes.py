"""RegenerateRecoveryCodes: make new recovery codes in the place of all others."""

from collections.abc import Sequence
from dataclasses import dataclass

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import SecondFactorMissing
from authservice.domain.mail import MailKind
from authservice.domain.second_factor import CODES_REPLACED
from authservice.ports import Audit, AuthStores, Clock, Database, last_counts
from authservice.usecases.steps.enroll_totp import EnrollTotp
from authservice.usecases.steps.hold_caller import hold_caller
from authservice.usecases.steps.second_factors import second_factors_of
from authservice.usecases.steps.send_mail import SendMail


@dataclass(frozen=True, slots=True)
class RegenerateRecoveryCodes:
    """Replaces recovery codes of users who have a second factor."""

    database: Database[AuthStores]
    enroll: EnrollTotp
    send_mail: SendMail
    clock: Clock
    audit: Audit

    def __call__(self, caller: Caller, deadline: Deadline) -> Sequence[str]:
        """Return the new codes.

        Raises SecondFactorMissing, SessionEnded, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        recovery_codes, now = self.enroll.recovery_codes.generate(), self.clock()
        notice = self.send_mail.draft(MailKind.FACTOR_CHANGED, change=CODES_REPLACED)

        def store(tx: AuthStores) -> None:
            user, _ = hold_caller(tx, caller, now)
            if not second_factors_of(tx, user.id).is_set_up:
                raise SecondFactorMissing
            self.enroll.keep_codes(tx, user, recovery_codes, now)
            self.send_mail.notify(tx, user, notice)

        self.database.transact(store, deadline, settle=last_counts)
        self.audit.record(events.RecoveryCodesReplaced(user_id=caller.user_id))
        return recovery_codes
