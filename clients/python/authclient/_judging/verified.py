"""Whose token it is: as a signature proves it, or as Verify says."""

import functools
from dataclasses import dataclass, field
from datetime import datetime, timezone

from authapi.v1 import auth_service_pb2 as api

from authclient._judging.identity import Identity
from authclient._tokens.claims import LATEST_GENERATION, Claims
from authclient._tokens.grammar import TokenRefused, payload
from authclient._tokens.keys import VerificationKey


@dataclass(frozen=True, slots=True)
class Known:
    """What never changes about a token: it is well formed, and `key` signed it. Times are seconds since the epoch.

    `key` is None where Verify vouches for the token. There are many, so this is what calls are judged by, in a small
    form: not the token itself, and nothing of its claims that is asked for rarely.
    """

    key: VerificationKey | None
    session_id: str
    user_id: str
    user_name: str
    generation: int
    begins: float
    ends: float
    roles: frozenset[str]
    role_names: tuple[str, ...]
    authenticated_at: float
    auth_methods: tuple[str, ...]
    has_mfa: bool


class Verified:
    """A token, and what is known of it."""

    __slots__ = ("_identity", "known", "token")

    def __init__(self, token: str, known: Known) -> None:
        self.token = token
        self.known = known
        self._identity: Identity | None = None

    def __repr__(self) -> str:
        return f"Verified({self.known!r})"

    @property
    def identity(self) -> Identity:
        """The caller, for handlers. Made when it is asked for."""
        if self._identity is None:
            known = self.known
            self._identity = Identity.of(
                self.token,
                user_id=known.user_id,
                user_name=known.user_name,
                session_id=known.session_id,
                roles=known.role_names,
                authenticated_at=datetime.fromtimestamp(known.authenticated_at, timezone.utc),
                auth_methods=known.auth_methods,
                expires_at=datetime.fromtimestamp(known.ends, timezone.utc),
            )
        return self._identity


@dataclass(frozen=True, slots=True)
class Ask:
    """The token has to be shown to Verify. `known` is what is known of it here, if anything is."""

    token: str = field(repr=False)
    known: Known | None = None

    def settle(self, answer: api.Identity) -> Verified:
        """Return whose token it is, after Verify has accepted it."""
        return Verified(self.token, self.known or _from_answer(self.token, answer))


def known_by(key: VerificationKey, claims: Claims) -> Known:
    """Return what the claims of a token say, which the key has signed."""
    return Known(
        key=key,
        session_id=claims.session_id,
        user_id=claims.user_id,
        user_name=claims.user_name,
        generation=claims.generation,
        begins=claims.begins_at.timestamp(),
        ends=claims.expires_at.timestamp(),
        roles=_set_of(claims.roles),
        role_names=claims.roles,
        authenticated_at=claims.authenticated_at.timestamp(),
        auth_methods=claims.auth_methods,
        has_mfa="mfa" in claims.auth_methods,
    )


def _from_answer(token: str, answer: api.Identity) -> Known:
    try:
        generation = payload(token).get("gen")
    except TokenRefused:
        generation = None
    roles = tuple(answer.roles)
    return Known(
        key=None,
        session_id=answer.session_id,
        user_id=answer.user_id,
        user_name=answer.user_name,
        generation=generation if type(generation) is int else LATEST_GENERATION,
        begins=0.0,
        ends=float(answer.expire_time.seconds),
        roles=_set_of(roles),
        role_names=roles,
        authenticated_at=float(answer.auth_time.seconds),
        auth_methods=tuple(answer.auth_methods),
        has_mfa="mfa" in answer.auth_methods,
    )


@functools.lru_cache(1024)
def _set_of(roles: tuple[str, ...]) -> frozenset[str]:
    """Return one object for all tokens with the same roles: there are few sets of them, and many tokens."""
    return frozenset(roles)
