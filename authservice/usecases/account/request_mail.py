"""RequestPasswordReset and RequestEmailVerification: ask for a mail with a token."""

from dataclasses import dataclass

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.fields import Fields
from authservice.domain.mail import REQUESTS_KEPT, MailKind
from authservice.ports import Audit, AuthStores, Database, last_counts
from authservice.usecases.steps.admit_request import AdmitRequest
from authservice.usecases.steps.find_user import identifier
from authservice.usecases.steps.send_mail import SendMail


@dataclass(frozen=True, slots=True)
class RequestMail:
    """Keeps that somebody has asked, and looks nobody up.

    So neither the answer nor the time that it takes can tell who has an account. Whoever sends the mail looks.

    Args:
        kind: what is asked for.
    """

    database: Database[AuthStores]
    kind: MailKind
    admit: AdmitRequest
    send_mail: SendMail
    audit: Audit

    def __call__(self, user_name_or_email: str, network: str, deadline: Deadline) -> None:
        """Ask for the mail. Raises InvalidInput, Throttled, DeadlineTooShort, StorageUnavailable, Conflict."""
        fields = Fields()
        fields.read("user_name_or_email", identifier, user_name_or_email)
        fields.require_valid()
        self.admit(network, deadline)
        asked = self.send_mail.draft(self.kind, REQUESTS_KEPT, identifier=user_name_or_email)
        self.database.transact(lambda tx: self.send_mail(tx, asked), deadline, settle=last_counts)
        self.audit.record(events.MailAsked(mail_id=asked.id, kind=asked.kind))
