"""The tokens of a session, as use cases see them."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

REMEMBERED = 10240
"""Good access tokens whose signature needs no second look, at least; an eighth more at most, which take some 8 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """Who an access token belongs to, from its claims. Times are UTC, to the second.

    Each is equal to itself only, so that caches find it without looking inside.
    """

    user_id: UUID
    user_name: str
    session_id: UUID
    roles: tuple[str, ...]
    authenticated_at: datetime
    auth_methods: tuple[str, ...]
    expires_at: datetime
    generation: int


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token with a valid seal. `hash` is what a session stores of it."""

    text: str = field(repr=False)
    session_id: UUID
    generation: int
    hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """What a client receives for one session."""

    session_id: UUID
    user_id: UUID
    access_token: str = field(repr=False)
    access_token_end: datetime
    refresh_token: str = field(repr=False)
    refresh_token_end: datetime
    session_end: datetime
    erase_at: datetime | None = None
    """When the account of the session is to be erased, if that was asked for."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token alone, for a session that has a refresh token already."""

    access_token: str = field(repr=False)
    access_token_end: datetime
