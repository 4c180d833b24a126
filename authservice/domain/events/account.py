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
