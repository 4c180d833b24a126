"""What operators do with accounts."""

from uuid import UUID

from authservice.domain.events.roots import AuditEvent, Name


class UserDisabled(AuditEvent):
    """An operator disabled the account."""

    user_id: UUID
    ended: int


class UserEnabled(AuditEvent):
    """An operator let the account log in again."""

    user_id: UUID


class SecondFactorRemovedByOperator(AuditEvent):
    """An operator took a user's authenticator app and recovery codes away. Not if there was no app."""

    user_id: UUID
    ended: int


class RoleGranted(AuditEvent):
    """An operator gave the role. Not if the user had it."""

    user_id: UUID
    role: Name


class RoleTaken(AuditEvent):
    """An operator took the role. Not if the user did not have it."""

    user_id: UUID
    role: Name


class SessionsEndedByOperator(AuditEvent):
    """An operator ended a session, those of a user, or everybody's where both are empty."""

    session_id: UUID | None = None
    user_id: UUID | None = None
    ended: int
