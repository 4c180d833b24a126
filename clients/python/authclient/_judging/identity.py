"""Who is calling."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from authclient._tokens.grammar import TokenRefused, payload


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
    _token: str = field(default="", repr=False, compare=False)

    @classmethod
    def of(cls, token: str, **fields: Any) -> "Identity":
        """Return whose token it is, given all fields but the claims, which are read when they are needed."""
        identity = object.__new__(cls)
        for name, value in fields.items():
            object.__setattr__(identity, name, value)
        object.__setattr__(identity, "_token", token)
        return identity

    def __getattr__(self, name: str) -> Any:
        if name != "claims":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        try:
            claims = payload(self._token)
        except TokenRefused:  # Verify vouches for it, and nothing here can read it.
            claims = {}
        object.__setattr__(self, "claims", claims)
        return claims
