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


class MailAsked(AuditEvent):
    """Somebody asked for the mail. Whether there is an account has not been looked at."""

    mail_id: UUID
    kind: MailKind


class MailAnswered(AuditEvent):
    """The account was looked up, if there is one. `answer_id` is the mail that is sent; null for none."""

    mail_id: UUID
    user_id: UUID | None
    answer_id: UUID | None


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
