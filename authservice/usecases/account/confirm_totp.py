"""ConfirmTotp: take the first code of an authenticator app."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, CodeInvalid, SecondFactorExists, SessionEnded
from authservice.domain.fields import Fields, bounded_text
from authservice.domain.second_factor import CODE_OF_APP, with_second_factor
from authservice.domain.session import SessionLimits
from authservice.ports import Audit, AuthStores, Clock, Database, success_counts
from authservice.usecases.steps.count_code import CountCode
from authservice.usecases.steps.enroll_totp import EnrollTotp


@dataclass(frozen=True, slots=True)
class ConfirmTotp:
    """Has logins of a user ask for codes from now on.

    Codes are counted here too: whoever has stolen the session, and not the secret, is not to finish what its owner has
    begun, and to receive the recovery codes.
    """

    database: Database[AuthStores]
    count_code: CountCode
    enroll: EnrollTotp
    limits: SessionLimits
    clock: Clock
    audit: Audit

    def __call__(self, code: str, caller: Caller, deadline: Deadline) -> Sequence[str]:
        """Return recovery codes.

        Raises InvalidInput, CodeInvalid, TooManyCodes, SecondFactorExists, SecondFactorMissing, SessionEnded,
        DeadlineTooShort, StorageUnavailable, Conflict.
        """
        fields = Fields()
        fields.read("code", bounded_text, code, least=1, most=64)
        fields.require_valid()
        self.count_code(caller, deadline)
        recovery_codes, now = self.enroll.recovery_codes.generate(), self.clock()
        refused = self.database.transact(
            lambda tx: self._confirm(tx, code, recovery_codes, caller, now), deadline, settle=success_counts
        )
        if isinstance(refused, CodeInvalid):
            self.audit.record(events.CodeRefused(user_id=caller.user_id))
        if refused:
            raise refused
        self.audit.record(events.TotpEnrolled(user_id=caller.user_id))
        return recovery_codes

    def _confirm(
        self, tx: AuthStores, code: str, recovery_codes: Sequence[str], caller: Caller, now: datetime
    ) -> AuthError | None:
        user = tx.users.lock(caller.user_id)
        if user is None:
            raise SessionEnded
        try:
            self.enroll.confirm(tx, user, code, recovery_codes, now)
        except (CodeInvalid, SecondFactorExists) as error:  # Answered, and not raised: see success_counts.
            return error
        self.count_code.forget(tx, user.id, caller.session_id)
        held = tx.sessions.hold_each({caller.session_id}).get(caller.session_id)
        if held is None or not held[0].is_live(now):
            raise SessionEnded
        methods = with_second_factor(held[0].auth_methods, CODE_OF_APP)
        tx.sessions.step_up(held[0].proved(methods, now, self.limits))
        return None
