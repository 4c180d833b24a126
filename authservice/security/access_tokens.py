"""Access tokens.

JWTs of type `at+jwt` (RFC 9068), signed here and read through the same strict front that other services use.
"""

import functools
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from authclient import Claims, TokenRefused, TokenVerifier, VerificationKey
from authclient._tokens.remembered import Remembered
from authclient._tokens.signing import sign

from authservice.domain.errors import (
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenNotYetValid,
    TokenRejected,
    TokenTooLarge,
)
from authservice.domain.session import Session
from authservice.domain.tokens import REMEMBERED, Identity
from authservice.domain.user import User
from authservice.security.key_ring import Keys

MAX_BYTES = 1024
"""A token travels in the metadata of every call, where 8 KiB is all that can be relied upon."""
MAX_BYTES_RS256 = 1536
"""An RS256 signature takes 512 bytes of text. Within 1,024 a user name of 19 letters would already be too long."""
CLIENT_ID = "first-party"
"""The `client_id` that RFC 9068 requires. Until other clients exist, every login comes through the company's own."""

_REFUSALS: dict[str, type[TokenRejected]] = {
    "TOKEN_MISSING": TokenMissing,
    "TOKEN_INVALID": TokenInvalid,
    "TOKEN_EXPIRED": TokenExpired,
    "TOKEN_NOT_YET_VALID": TokenNotYetValid,
}


@dataclass(frozen=True, slots=True)
class _Good:
    """What is remembered of a token: no more than is asked again, for there are many."""

    identity: Identity
    begins_at: datetime
    key: VerificationKey


class SignedAccessTokens:
    """Issues and reads access tokens. Lives as long as the process; safe for many threads.

    The cache holds what never changes about a token: that its signature and claims are good. Whether its key still
    counts, its time has come and its session lives is asked every time.
    """

    def __init__(self, issuer: str, audience: str, keys: Keys) -> None:
        self._keys = keys
        self._verifier = TokenVerifier(issuer, audience, keys.find)
        self._read_once = Remembered(self._read, lambda _, good: good, REMEMBERED)

    def issue(self, user: User, session: Session, now: datetime, expires_at: datetime) -> str:
        """Return a signed token. Raises TokenTooLarge."""
        signer = self._keys.signer()
        issued_at = int(now.timestamp())
        claims = {
            "iss": self._verifier.issuer,
            "sub": str(user.id),
            "aud": self._verifier.audience,
            "client_id": CLIENT_ID,
            "exp": int(expires_at.timestamp()),
            "iat": issued_at,
            "nbf": issued_at,
            "jti": secrets.token_urlsafe(16),
            "sid": str(session.id),
            # The server that the user logged in at may be ahead of this one. No token is older than its login.
            "auth_time": min(int(session.authenticated_at.timestamp()), issued_at),
            "amr": session.auth_methods,
            "preferred_username": user.name.typed,
            "roles": user.roles,
            "gen": user.generation,
        }
        token = sign(claims, signer.kid, signer.alg, signer.key)
        budget = MAX_BYTES_RS256 if signer.alg == "RS256" else MAX_BYTES
        if len(token) > budget:
            raise TokenTooLarge(len(token), budget)
        return token

    def read(self, text: str, now: datetime) -> Identity:
        """Return whose token it is. Raises TokenMissing, TokenInvalid, TokenExpired, TokenNotYetValid."""
        try:
            good = self._read_once(text)
            if self._keys.find(good.key.kid) is not good.key:
                raise TokenInvalid
            self._verifier.check_life(good.begins_at, good.identity.expires_at, now)
        except TokenRefused as refused:
            raise _REFUSALS[refused.reason] from None
        return good.identity

    def _read(self, text: str) -> _Good:
        claims = self._verifier.read(text)
        key = self._keys.find(claims.key_id)
        if key is None:  # It has been removed since.
            raise TokenInvalid
        return _Good(identity_of(claims), claims.begins_at, key)


def identity_of(claims: Claims) -> Identity:
    """Return whose token it is, from claims that were checked."""
    return Identity(
        user_id=_id(claims.user_id),
        user_name=claims.user_name,
        session_id=_id(claims.session_id),
        roles=claims.roles,
        authenticated_at=claims.authenticated_at,
        auth_methods=claims.auth_methods,
        expires_at=claims.expires_at,
        generation=claims.generation,
    )


@functools.lru_cache(256)
def _id(text: str) -> UUID:
    """Return one object for tokens that name the same user or session and are seen one after the other."""
    return UUID(text)
