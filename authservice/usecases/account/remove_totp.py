"""RemoveTotp: forget the caller's authenticator app."""

from dataclasses import dataclass

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, SecondFactorMissing
from authservice.domain.mail import Letter, MailKind
from authservice.domain.second_factor import APP_REMOVED
from authservice.ports import Audit, AuthStores, Database, success_counts
from authservice.usecases.steps.hold_caller import hold_caller
from authservice.usecases.steps.remove_factors import remove_totp
from authservice.usecases.steps.send_mail import SendMail


@dataclass(frozen=True, slots=True)
class RemoveTotp:
    """Takes second factors away, with every session but the one that calls."""

    database: Database[AuthStores]
    send_mail: SendMail
    audit: Audit

    def __call__(self, caller: Caller, deadline: Deadline) -> int:
        """Return how many other sessions were live and are ended now.

        Raises SecondFactorMissing, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        notice = self.send_mail.draft(MailKind.FACTOR_CHANGED, change=APP_REMOVED)
        ended = self.database.transact(lambda tx: self._remove(tx, caller, notice), deadline, settle=success_counts)
        if isinstance(ended, AuthError):
            raise ended
        self.audit.record(events.TotpRemoved(user_id=caller.user_id, ended=ended))
        return ended

    def _remove(self, tx: AuthStores, caller: Caller, notice: Letter) -> int | AuthError:
        user, _ = hold_caller(tx, caller, notice.written_at)
        ended = remove_totp(tx, caller.user_id, notice.written_at, keep=caller.session_id)
        if ended is None:
            return SecondFactorMissing()
        self.send_mail.notify(tx, user, notice)
        return ended
