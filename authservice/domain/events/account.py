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
