"""What people do with their own accounts."""

from uuid import UUID

from authservice.domain.events.roots import AuditEvent


class SessionRevoked(AuditEvent):
    """A user ended the session `session_id`, repetitions included."""

    user_id: UUID
    session_id: UUID
    ended: int


class PasswordChanged(AuditEvent):
    """A user changed their password in `session_id`; the others were ended."""

    user_id: UUID
    session_id: UUID
    ended: int


class PasswordChangeRefused(AuditEvent):
    """Somebody with a session of the user wanted to change the password, and gave a wrong one as the old."""

    user_id: UUID


class OtherSessionsRevoked(AuditEvent):
    """A user ended all sessions but `session_id`, repetitions included."""

    user_id: UUID
    session_id: UUID
    ended: int


class AccountUpdated(AuditEvent):
    """A user changed what they say about themselves."""

    user_id: UUID


class AccountExported(AuditEvent):
    """Everything that is held about a user was asked for, by themselves or by an operator."""

    user_id: UUID
    by_operator: bool


class AccountDeletionRequested(AuditEvent):
    """A user or an operator asked for the account to be erased, and its sessions were ended; repetitions included."""

    user_id: UUID
    ended: int
    by_operator: bool


class AccountDeletionCancelled(AuditEvent):
    """A user or an operator kept an account that may have been going to be erased."""

    user_id: UUID
    by_operator: bool


class AccountErased(AuditEvent):
    """Nothing is held about the user any more."""

    user_id: UUID


class PasswordReset(AuditEvent):
    """A user set a password with a token that came by mail, and all sessions were ended."""

    user_id: UUID
    ended: int


class EmailConfirmed(AuditEvent):
    """A user proved that the address of the account is theirs."""

    user_id: UUID


class EmailChangeAsked(AuditEvent):
    """A user asked for another address, which is to be confirmed."""

    user_id: UUID
    session_id: UUID


class EmailChanged(AuditEvent):
    """The address of the account was replaced by one that was confirmed, and all sessions were ended."""

    user_id: UUID
    ended: int
