"""ConfirmTotp: take the first code of an authenticator app."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, CodeInvalid, MfaRequired, SecondFactorExists
from authservice.domain.fields import Fields, bounded_text
from authservice.domain.mail import Letter, MailKind
from authservice.domain.second_factor import APP_ADDED, CODE_OF_APP, with_second_factor
from authservice.domain.session import SessionLimits
from authservice.ports import Audit, AuthStores, Clock, Database, success_counts
from authservice.usecases.steps.admit_code import AdmitCode, CodeAttempt
from authservice.usecases.steps.enroll_totp import EnrollTotp
from authservice.usecases.steps.hold_caller import hold_caller, require_strongest
from authservice.usecases.steps.send_mail import SendMail


@dataclass(frozen=True, slots=True)
class ConfirmTotp:
    """Has logins of a user ask for codes from now on.

    Codes are counted here too: whoever has stolen the session, and not the secret, is not to finish what its owner has
    begun, and to receive the recovery codes.
    """

    database: Database[AuthStores]
    admit_code: AdmitCode
    enroll: EnrollTotp
    send_mail: SendMail
    limits: SessionLimits
    clock: Clock
    audit: Audit

    def __call__(self, code: str, caller: Caller, deadline: Deadline) -> Sequence[str]:
        """Return recovery codes, none where there is a passkey and so are codes already.

        Raises InvalidInput, CodeInvalid, Throttled, MfaRequired, SecondFactorExists, SecondFactorMissing, SessionEnded,
        DeadlineTooShort, StorageUnavailable, Conflict.
        """
        fields = Fields()
        fields.read("code", bounded_text, code, least=1, most=64)
        fields.require_valid()
        first = _FirstCode(
            code,
            self.admit_code(caller.user_id, caller.network, deadline),
            self.enroll.recovery_codes.generate(),
            self.send_mail.draft(MailKind.FACTOR_CHANGED, change=APP_ADDED),
            self.clock(),
        )
        done = self.database.transact(lambda tx: self._confirm(tx, first, caller), deadline, settle=success_counts)
        if isinstance(done, CodeInvalid):
            self.audit.record(events.CodeRefused(user_id=caller.user_id))
        if isinstance(done, AuthError):
            raise done
        self.audit.record(events.TotpEnrolled(user_id=caller.user_id))
        return first.recovery_codes if done else ()

    def _confirm(self, tx: AuthStores, first: "_FirstCode", caller: Caller) -> AuthError | bool:
        """Tell whether the recovery codes were kept; a refusal is answered, and not raised: see success_counts."""
        user, session = hold_caller(tx, caller, first.at)
        try:
            require_strongest(tx, user, session.auth_methods)
            is_first = self.enroll.confirm(tx, user, first.code, first.recovery_codes, first.at)
        except (CodeInvalid, MfaRequired, SecondFactorExists) as error:
            return error
        first.attempt.succeeded(tx)
        self.send_mail.notify(tx, user, first.notice)
        methods = with_second_factor(session.auth_methods, CODE_OF_APP)
        tx.sessions.step_up(session.proved(methods, first.at, self.limits))
        return is_first


@dataclass(frozen=True, slots=True)
class _FirstCode:
    """The code that was admitted, and what follows from it if it is right."""

    code: str = field(repr=False)
    attempt: CodeAttempt
    recovery_codes: Sequence[str] = field(repr=False)
    notice: Letter
    at: datetime
