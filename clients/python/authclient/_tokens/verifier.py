"""The strict front before the JWT library: one exact grammar, one header, required claims, then the signature.

A JWT library accepts shapes that two verifiers may read differently: any `typ`, unknown header members, padding, the
second form of an ECDSA signature. What is accepted here has exactly one spelling.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from authclient._tokens.claims import Claims, MalformedJson, read_claims
from authclient._tokens.grammar import TokenRefused, algorithm_and_key_id, invalid, segments
from authclient._tokens.keys import VerificationKey


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
        TypeError: one of them is no text.
    """

    issuer: str
    audience: str
    find_key: Callable[[str], VerificationKey | None]
    leeway: timedelta = timedelta(seconds=30)
    longest_life: timedelta = timedelta(days=1)

    def __post_init__(self) -> None:
        for name, value, example in (("issuer", self.issuer, "authservice"), ("audience", self.audience, "internal")):
            if not isinstance(value, str):
                raise TypeError(f'{name} is {value!r}; write one text, such as {name}="{example}"')
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
        header, payload, signature = segments(token)
        alg, kid = algorithm_and_key_id(header)
        key = self.find_key(kid)
        if key is None:
            raise UnknownKey("TOKEN_INVALID", "it is signed with an unknown key")
        if alg != key.alg:
            raise invalid("its key is for another algorithm")
        if not key.verifies(token.rpartition(".")[0].encode("ascii"), signature):
            raise invalid("the signature is wrong")
        return self._claims(payload, kid)

    def read_unsigned(self, token: str) -> Claims:
        """Check all of `token` that `read` does but its signature, which proves nothing. Raises TokenRefused."""
        header, payload, _ = segments(token)
        _, kid = algorithm_and_key_id(header)
        return self._claims(payload, kid)

    def _claims(self, payload: bytes, kid: str) -> Claims:
        try:
            claims = read_claims(payload, kid)
        except MalformedJson:
            raise invalid("a claim is missing or malformed") from None
        if claims.issuer != self.issuer or claims.audience != self.audience:
            raise ForeignToken(claims.issuer, claims.audience)
        if not timedelta(0) < claims.expires_at - claims.issued_at <= self.longest_life:
            raise invalid("its life is longer than this service makes them")
        if claims.authenticated_at > claims.issued_at:
            # However old the token becomes, such a login would be recent enough for any `max_auth_age`.
            raise invalid("its login is later than the token")
        return claims

    def check_times(self, claims: Claims, now: datetime) -> None:
        """Raise TokenRefused if a token with these claims is too old or too young at `now`."""
        self.check_life(claims.begins_at, claims.expires_at, now)

    def check_life(self, begins_at: datetime, expires_at: datetime, now: datetime) -> None:
        """Raise TokenRefused if a token that counts from the first moment to the second does not at `now`."""
        if now - self.leeway >= expires_at:
            raise TokenRefused("TOKEN_EXPIRED", "it has expired")
        if now + self.leeway < begins_at:
            raise TokenRefused("TOKEN_NOT_YET_VALID", "its time has not begun")
