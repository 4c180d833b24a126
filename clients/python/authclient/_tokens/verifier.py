"""The strict front before the JWT library: one exact grammar, one header, required claims, then the signature.

A JWT library accepts shapes that two verifiers may read differently: any `typ`, unknown header members, padding, the
second form of an ECDSA signature. What is accepted here has exactly one spelling, and nothing is decoded before its
length and grammar are known.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from authclient._tokens.claims import Claims, MalformedJson, read_claims, read_object
from authclient._tokens.keys import VerificationKey
from authclient._wire.refusals import Refused

MAX_TOKEN_BYTES = 4096
"""Longer texts are refused unread. The tokens of this service have at most 1,024 bytes."""
TOKEN_TYPE = "at+jwt"  # noqa: S105
"""RFC 9068 section 2.1. Any other type is a token for another purpose."""

_SEGMENTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
_HEADER_MEMBERS = {"alg", "kid", "typ"}


class TokenRefused(Refused):
    """The token is not accepted."""


class UnknownKey(TokenRefused):
    """No key of the set fits the token's header."""


class ForeignToken(TokenRefused):
    """The token is good, and not from this issuer for this audience."""

    def __init__(self, issuer: str, audience: str) -> None:
        super().__init__("TOKEN_INVALID", "it was made by another issuer or for another audience")
        self.issuer = issuer
        self.audience = audience


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """Checks access tokens of one issuer for one audience. Immutable, to be shared between threads.

    Args:
        issuer: the only accepted `iss`, compared exactly.
        audience: the only accepted `aud`, compared exactly.
        find_key: answers the key with a given id, or None. Called once per token, with an id from the token.
        leeway: how far two clocks may be apart. Applied to `exp`, `nbf` and `iat`.
        longest_life: the longest accepted distance from `iat` to `exp`.

    Raises:
        ValueError: issuer or audience is empty. An audience that is not configured would not be checked (RFC 8725
            section 3.9).
    """

    issuer: str
    audience: str
    find_key: Callable[[str], VerificationKey | None]
    leeway: timedelta = timedelta(seconds=30)
    longest_life: timedelta = timedelta(days=1)

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise ValueError(
                "issuer and audience must be set; without them tokens for other services would be accepted"
            )

    def verify(self, token: str, now: datetime) -> Claims:
        """Return the claims of `token`. Raises TokenRefused for any token that is not good at `now`."""
        claims = self.read(token)
        self.check_times(claims, now)
        return claims

    def read(self, token: str) -> Claims:
        """Check all of `token` that does not change with time. The result may be cached while its key is in use.

        Raises:
            TokenRefused: with the reason TOKEN_MISSING or TOKEN_INVALID; UnknownKey if everything before the signature
                is right and `find_key` answers None, ForeignToken if all of it is right but `iss` or `aud`.
        """
        if not token:
            raise TokenRefused("TOKEN_MISSING", "there is no token")
        header, payload, signature = _segments(token)
        alg, kid = _algorithm_and_key_id(header)
        key = self.find_key(kid)
        if key is None:
            raise UnknownKey("TOKEN_INVALID", "it is signed with an unknown key")
        if alg != key.alg:
            raise _invalid("its key is for another algorithm")
        if not key.verifies(token.rpartition(".")[0].encode("ascii"), signature):
            raise _invalid("the signature is wrong")
        try:
            claims = read_claims(payload, key.kid)
        except MalformedJson:
            raise _invalid("a claim is missing or malformed") from None
        if claims.issuer != self.issuer or claims.audience != self.audience:
            raise ForeignToken(claims.issuer, claims.audience)
        if not timedelta(0) < claims.expires_at - claims.issued_at <= self.longest_life:
            raise _invalid("its life is longer than this service makes them")
        return claims

    def check_times(self, claims: Claims, now: datetime) -> None:
        """Raise TokenRefused if a token with these claims is too old or too young at `now`."""
        if now - self.leeway >= claims.expires_at:
            raise TokenRefused("TOKEN_EXPIRED", "it has expired")
        if now + self.leeway < max(claims.not_before, claims.issued_at):
            raise TokenRefused("TOKEN_NOT_YET_VALID", "its time has not begun")


def check_form(token: str) -> None:
    """Check what can be checked without a key: grammar and header. Raises TokenRefused."""
    _algorithm_and_key_id(_segments(token)[0])


def header(token: str) -> dict[str, Any]:
    """Return the header of a token, unchecked. Raises TokenRefused if it is none."""
    try:
        return read_object(_segments(token)[0])
    except MalformedJson:
        raise _invalid("the header is malformed") from None


def payload(token: str) -> dict[str, Any]:
    """Return the payload of a token, unchecked. Raises TokenRefused if it is none."""
    try:
        return read_object(_segments(token)[1])
    except MalformedJson:
        raise _invalid("the payload is malformed") from None


def _algorithm_and_key_id(header_bytes: bytes) -> tuple[str, str]:
    try:
        header = read_object(header_bytes)
    except MalformedJson:
        raise _invalid("the header is malformed") from None
    # Exactly these members: whatever else a header may hold (crit, jku, jwk, x5u, zip, b64 …) asks for something we do
    # not do.
    if header.keys() != _HEADER_MEMBERS or header["typ"] != TOKEN_TYPE:
        raise _invalid("the header is not that of an access token")
    if type(header["alg"]) is not str or type(header["kid"]) is not str:
        raise _invalid("the header is not that of an access token")
    return header["alg"], header["kid"]


def _segments(token: str) -> tuple[bytes, bytes, bytes]:
    if len(token) > MAX_TOKEN_BYTES or not (match := _SEGMENTS.fullmatch(token)):
        raise _invalid("it is not a signed JWT in compact form")
    header, payload, signature = (_decode(segment) for segment in match.groups())
    return header, payload, signature


def _decode(segment: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        raise _invalid("a part of it is not base64url") from None
    # The last character carries unused bits. Only zeros there are the canonical spelling (RFC 4648 section 3.5).
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != segment:
        raise _invalid("a part of it is not canonical base64url")
    return data


def _invalid(why: str) -> TokenRefused:
    return TokenRefused("TOKEN_INVALID", why)
