"""What people do with their own accounts."""

from uuid import UUID

from authservice.domain.events.roots import AuditEvent


class SessionRevoked(AuditEvent):
    """A user ended the session `session_id`, repetitions included."""

    user_id: UUID
    session_id: UUID
    ended: int


class OtherSessionsRevoked(AuditEvent):
    """A user ended all sessions but `session_id`, repetitions included."""

    user_id: UUID
    session_id: UUID
    ended: int


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
