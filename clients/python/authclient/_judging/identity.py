"""Who is calling, and the token that says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller of a guarded method, from an access token that was checked. Times are UTC, to the second.

    Args:
        user_id: UUID as text; the key to store with anything that belongs to the user.
        user_name: as it was typed at registration; for people to read.
        session_id: UUID as text; the same through all refreshes.
        roles: held when the token was issued, sorted.
        authenticated_at: when the user last proved who they are.
        auth_methods: how, as RFC 8176 names; `mfa` is among them after more than one factor.
        expires_at: when the token expires.
        claims: the whole payload of the token.
    """

    user_id: str
    user_name: str
    session_id: str
    roles: tuple[str, ...]
    authenticated_at: datetime
    auth_methods: tuple[str, ...]
    expires_at: datetime
    claims: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """An identity, and the token it came from."""

    identity: Identity
    token: str = field(repr=False)
