"""ChangeEmail: ask for another address, which counts once it is confirmed."""

from dataclasses import dataclass, replace

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.fields import Fields
from authservice.domain.mail import REQUESTS_KEPT, Letter, MailKind
from authservice.ports import Audit, AuthStores, Database, EmailRules, last_counts
from authservice.usecases.steps.admit_request import AdmitRequest
from authservice.usecases.steps.hold_caller import hold_caller, require_strongest
from authservice.usecases.steps.send_mail import SendMail


@dataclass(frozen=True, slots=True)
class ChangeEmail:
    """Keeps what the caller wants, and does not look whether the address is somebody's. See RequestMail."""

    database: Database[AuthStores]
    emails: EmailRules
    admit: AdmitRequest
    send_mail: SendMail
    audit: Audit

    def __call__(self, new_email: str, caller: Caller, deadline: Deadline) -> None:
        """Ask for the mails to both addresses.

        Raises InvalidInput, MfaRequired, SessionEnded, Throttled, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        fields = Fields()
        address = fields.read("new_email", self.emails.read, new_email)
        fields.require_valid()
        assert address is not None
        self.admit(caller.network, deadline)
        draft = self.send_mail.draft(MailKind.CHANGE_EMAIL_ASKED, REQUESTS_KEPT, new_email=address)
        self.database.transact(lambda tx: self._keep(tx, draft, caller), deadline, settle=last_counts)
        self.audit.record(events.EmailChangeAsked(user_id=caller.user_id, session_id=caller.session_id))

    def _keep(self, tx: AuthStores, draft: Letter, caller: Caller) -> None:
        user, session = hold_caller(tx, caller, draft.written_at)
        require_strongest(tx, user, session.auth_methods)
        # Whoever answers it looks whether both are what they are now.
        since = {"session_id": str(session.id), "secret_generation": str(user.secret_generation)}
        self.send_mail(tx, replace(draft, user_id=user.id, facts={**draft.facts, **since}))
