"""Mail that leaves, or does not."""

from enum import Enum
from uuid import UUID

from authservice.domain.events.roots import AuditEvent
from authservice.domain.mail import MailKind


class GivenUp(Enum):
    """Why a mail was given up."""

    EXPIRED = "expired"
    REFUSED = "refused"
    UNREADABLE = "unreadable"


class MailSent(AuditEvent):
    """The mail server took the mail, or it was written into its folder."""

    mail_id: UUID
    kind: MailKind
    attempts: int


class MailGivenUp(AuditEvent):
    """The mail will not be sent: its time was over, its address refused, or it was sealed by another service."""

    mail_id: UUID
    kind: MailKind
    attempts: int
    reason: GivenUp
