"""Whose token it is: as a signature proves it, or as Verify says."""

from dataclasses import dataclass, field
from datetime import datetime, timezone

from authapi.v1 import auth_service_pb2 as api

from authclient._judging.identity import Caller, Identity
from authclient._tokens.claims import LATEST_GENERATION, Claims
from authclient._tokens.grammar import payload
from authclient._tokens.keys import VerificationKey
from authclient._wire.refusals import Refused


@dataclass(frozen=True, slots=True)
class Verified:
    """What never changes about a token: it is well formed, and `key` signed it. Times are seconds since the epoch.

    `key` is None where Verify vouches for the token. What each call is judged by stands here once more, beside the
    caller: one of many tokens is read from memory that no cache holds, and each object on the way there takes its time.
    """

    caller: Caller
    session_id: str
    user_id: str
    key: VerificationKey | None
    generation: int
    begins: float
    ends: float
    roles: frozenset[str]
    authenticated_at: float
    has_mfa: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """The token has to be shown to Verify. `verified` is what is known of it here, if anything is."""

    token: str = field(repr=False)
    verified: Verified | None = None

    def settle(self, answer: api.Identity) -> Verified:
        """Return whose token it is, after Verify has accepted it."""
        return self.verified or _from_answer(self.token, answer)


def verified_by(key: VerificationKey, token: str, claims: Claims) -> Verified:
    """Return what the claims of a token say, which the key has signed."""
    identity = Identity(
        user_id=claims.user_id,
        user_name=claims.user_name,
        session_id=claims.session_id,
        roles=claims.roles,
        authenticated_at=claims.authenticated_at,
        auth_methods=claims.auth_methods,
        expires_at=claims.expires_at,
        claims=claims.raw,
    )
    return Verified(
        caller=Caller(identity, token),
        session_id=claims.session_id,
        user_id=claims.user_id,
        key=key,
        generation=claims.generation,
        begins=claims.begins_at.timestamp(),
        ends=claims.expires_at.timestamp(),
        roles=frozenset(claims.roles),
        authenticated_at=claims.authenticated_at.timestamp(),
        has_mfa="mfa" in claims.auth_methods,
    )


def _from_answer(token: str, answer: api.Identity) -> Verified:
    try:
        claims = payload(token)
    except Refused:
        claims = {}
    generation = claims.get("gen")
    identity = Identity(
        user_id=answer.user_id,
        user_name=answer.user_name,
        session_id=answer.session_id,
        roles=tuple(answer.roles),
        authenticated_at=datetime.fromtimestamp(answer.auth_time.seconds, timezone.utc),
        auth_methods=tuple(answer.auth_methods),
        expires_at=datetime.fromtimestamp(answer.expire_time.seconds, timezone.utc),
        claims=claims,
    )
    return Verified(
        caller=Caller(identity, token),
        session_id=answer.session_id,
        user_id=answer.user_id,
        key=None,
        generation=generation if type(generation) is int else LATEST_GENERATION,
        begins=0.0,
        ends=float(answer.expire_time.seconds),
        roles=frozenset(answer.roles),
        authenticated_at=float(answer.auth_time.seconds),
        has_mfa="mfa" in answer.auth_methods,
    )
