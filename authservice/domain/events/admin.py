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


class UserUnthrottled(AuditEvent):
    """An operator had the failed attempts on the account forgotten."""

    user_id: UUID
    cleared: int


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


class OneTimePasswordMade(AuditEvent):
    """An operator had a one-time password made in place of the user's own, and all sessions were ended."""

    user_id: UUID
    ended: int


class UsersImported(AuditEvent):
    """An operator brought accounts in from another system. Also for what was done of an import that was interrupted."""

    imported: int
    refused: int


class ResetMailed(AuditEvent):
    """An operator had a mail sent to a user, with a token that sets a password."""

    user_id: UUID
    mail_id: UUID


class EmailSetByOperator(AuditEvent):
    """An operator gave the account another address, and all sessions were ended. Not if it had it before."""

    user_id: UUID
    ended: int


class PersonInvited(AuditEvent):
    """An operator had an invitation sent."""

    mail_id: UUID


class InvitationWithdrawn(AuditEvent):
    """An operator withdrew an invitation. Not if there was none that was good."""


class SessionsEndedByOperator(AuditEvent):
    """An operator ended a session, those of a user, or everybody's where both are empty."""

    session_id: UUID | None = None
    user_id: UUID | None = None
    ended: int
