"""RemovePasskey: forget one of the caller's passkeys."""

from dataclasses import dataclass
from uuid import UUID

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, NotPermitted
from authservice.domain.fields import Fields, uuid_of
from authservice.domain.mail import Letter, MailKind
from authservice.domain.second_factor import PASSKEY_REMOVED
from authservice.ports import Audit, AuthStores, Database, success_counts
from authservice.usecases.account.rename_passkey import NO_SUCH_PASSKEY
from authservice.usecases.steps.hold_caller import hold_caller
from authservice.usecases.steps.remove_factors import remove_passkey
from authservice.usecases.steps.send_mail import SendMail


@dataclass(frozen=True, slots=True)
class RemovePasskey:
    """Takes a passkey away, with every session but the one that calls."""

    database: Database[AuthStores]
    send_mail: SendMail
    audit: Audit

    def __call__(self, passkey_id: str, caller: Caller, deadline: Deadline) -> int:
        """Return how many other sessions were live and are ended now.

        Raises InvalidInput, NotPermitted, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        fields = Fields()
        wanted = fields.read("passkey_id", uuid_of, passkey_id)
        fields.require_valid()
        assert wanted
        notice = self.send_mail.draft(MailKind.FACTOR_CHANGED, change=PASSKEY_REMOVED)
        ended = self.database.transact(
            lambda tx: self._remove(tx, wanted, caller, notice), deadline, settle=success_counts
        )
        if isinstance(ended, AuthError):
            raise ended
        self.audit.record(events.PasskeyRemoved(user_id=caller.user_id, passkey_id=wanted, ended=ended))
        return ended

    def _remove(self, tx: AuthStores, passkey_id: UUID, caller: Caller, notice: Letter) -> int | AuthError:
        user, _ = hold_caller(tx, caller, notice.written_at)
        ended = remove_passkey(tx, caller.user_id, passkey_id, notice.written_at, caller.session_id)
        if ended is None:
            return NotPermitted(NO_SUCH_PASSKEY)
        self.send_mail.notify(tx, user, notice)
        return ended
