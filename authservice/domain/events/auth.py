"""Accounts log in and out."""

from uuid import UUID

from authservice.domain.events.roots import AuditEvent, Personal
from authservice.domain.session import Scope


class UserRegistered(AuditEvent):
    """An account was made."""

    user_id: UUID
    user_name: Personal


class Login(AuditEvent):
    """A session was opened."""

    user_id: UUID
    session_id: UUID
    client_label: Personal


class LoginRefused(AuditEvent):
    """The password is wrong, the account disabled or the user unknown."""

    user_id: UUID | None


class AttemptThrottled(AuditEvent):
    """An attempt to log in was not admitted, because of too many on the account or from its network."""

    user_id: UUID | None


class OneTimePasswordReplaced(AuditEvent):
    """A user came with a one-time password, and replaced it. No session yet where a second factor is asked for."""

    user_id: UUID
    session_id: UUID | None


class LoginNotConfirmed(AuditEvent):
    """The password is right, and the address of the account is not confirmed."""

    user_id: UUID


class SessionRefreshed(AuditEvent):
    """A refresh token was spent. Not for repetitions in the grace window."""

    session_id: UUID
    generation: int


class RefreshReuse(AuditEvent):
    """A spent refresh token came back, so the session was ended."""

    user_id: UUID
    session_id: UUID


class Logout(AuditEvent):
    """A logout with a token of `session_id`, repetitions included. `target` is the scope or the session named."""

    session_id: UUID
    target: Scope | UUID
    ended: int
