"""Mail to people, and the one-time tokens in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

MOST_AN_HOUR = 5
"""Mails that an address is sent in any hour because somebody, known or not, asked for them."""
NOTICES_KEPT = timedelta(days=3)
"""How long sending a mail is tried that has no token in it."""
REQUESTS_KEPT = timedelta(hours=1)
"""How long a mail that was asked for may take to be written."""


class MailKind(Enum):
    """What a mail is about. The last ones are asked for, and become another or none once the account is looked up."""

    RESET = "reset"
    VERIFY_EMAIL = "verify_email"
    CHANGE_EMAIL_OLD = "change_email_old"
    CHANGE_EMAIL_NEW = "change_email_new"
    EMAIL_CHANGED = "email_changed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # no password
    FACTOR_CHANGED = "factor_changed"
    NEW_SIGN_IN = "new_sign_in"
    REGISTERED_AGAIN = "registered_again"
    ACCOUNT_DELETED = "account_deleted"
    INVITATION = "invitation"
    RESET_ASKED = "reset_asked"
    VERIFY_EMAIL_ASKED = "verify_email_asked"
    CHANGE_EMAIL_ASKED = "change_email_asked"

    @property
    def is_asked(self) -> bool:
        """Whether it is still to be written, if there is somebody to write to."""
        return self in _ASKED


_ASKED = {MailKind.RESET_ASKED, MailKind.VERIFY_EMAIL_ASKED, MailKind.CHANGE_EMAIL_ASKED}


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail before it is sealed.

    Attributes:
        facts: what its template is filled with; of one that was asked for, what was asked.
        address: canonical; empty for one that was asked for.
        expires_at: when it is given up.
        user_id: whose mail it is. None for an invitation, and where it is not known yet.
    """

    id: UUID
    kind: MailKind
    facts: Mapping[str, str] = field(repr=False)
    written_at: datetime
    expires_at: datetime
    address: str = field(default="", repr=False)
    user_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail as the outbox keeps it. `sealed` holds address and facts; `attempts` counts those that have begun."""

    id: UUID
    kind: MailKind
    sealed: bytes = field(repr=False)
    created_at: datetime
    due_at: datetime
    expires_at: datetime
    user_id: UUID | None = None
    attempts: int = 0


class Purpose(Enum):
    """What a one-time token is good for, and nothing else."""

    RESET = "reset"
    VERIFY_EMAIL = "verify_email"
    CHANGE_EMAIL = "change_email"
    INVITE = "invite"


@dataclass(frozen=True, slots=True)
class OneTimeToken:
    """A token whose text has the form of ours. `hash` is the SHA-256 of its secret part."""

    text: str = field(repr=False)
    id: UUID
    purpose: Purpose
    hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """What is kept of a one-time token.

    Attributes:
        slot: 32 bytes that stand for its owner and purpose; of each there is one, the newest.
        user_id: None for an invitation.
        secret_generation: that of the user when it was issued. It is good only while that is the same.
        address: where it was sent, canonical.
        session_id: of the session that has asked for it, with which it ends. None where there is none.
        spent_by: the id of the call that has spent it, so that this one knows when it has to run again.
    """

    slot: bytes = field(repr=False)
    id: UUID
    user_id: UUID | None
    purpose: Purpose
    secret_hash: bytes = field(repr=False)
    secret_generation: int
    address: str
    created_at: datetime
    expires_at: datetime
    spent_by: UUID | None = None
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class EmailClaim:
    """Which account an address belongs to: the first that named it, until somebody proves that it is theirs."""

    user_id: UUID
    confirmed_at: datetime | None


def shown(moment: datetime) -> str:
    """Return a moment in the words of a mail."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
