"""Where tokens that were made by hand are presented, to the server and to a client."""

from datetime import datetime

from authclient import TokenRefused, TokenVerifier, VerificationKey

from authservice.domain.errors import TokenExpired, TokenInvalid, TokenMissing, TokenNotYetValid, TokenRejected
from authservice.domain.tokens import Identity
from authservice.security.access_tokens import SignedAccessTokens
from authservice.security.key_ring import Signer
from tests.unit.forgery import AUDIENCE, ISSUER, NOW, Forger

_REASONS: dict[type[TokenRejected] | None, str | None] = {
    None: None,
    TokenMissing: "TOKEN_MISSING",
    TokenInvalid: "TOKEN_INVALID",
    TokenExpired: "TOKEN_EXPIRED",
    TokenNotYetValid: "TOKEN_NOT_YET_VALID",
}


class KnownKeys:
    """A key set that tests fill and empty. See key_ring.Keys."""

    def __init__(self, *forgers: Forger) -> None:
        self.by_kid = {each.kid: VerificationKey(each.kid, each.alg, each.public) for each in forgers}
        self._signer = Signer(forgers[0].kid, forgers[0].alg, forgers[0].private)

    def find(self, kid: str) -> VerificationKey | None:
        """Return the verification key with this id."""
        return self.by_kid.get(kid)

    def signer(self) -> Signer:
        """Return the key of the first forger."""
        return self._signer


class Desk:
    """Where tokens are presented: the server's reader and a client's verifier side by side."""

    def __init__(self, *forgers: Forger, issuer: str = ISSUER, audience: str = AUDIENCE) -> None:
        self.keys = KnownKeys(*forgers)
        self.tokens = SignedAccessTokens(issuer, audience, self.keys)
        self.verifier = TokenVerifier(issuer, audience, self.keys.find)

    def verdict(self, text: str, now: datetime = NOW) -> type[TokenRejected] | None:
        """Return how a token is refused, or None if it is accepted. Server and client have to agree."""
        try:
            self.tokens.read(text, now)
        except TokenRejected as refused:
            server: type[TokenRejected] | None = type(refused)
        else:
            server = None
        assert self._reason(text, now) == _REASONS[server]
        return server

    def read(self, text: str, now: datetime = NOW) -> Identity:
        """Return whose token it is."""
        return self.tokens.read(text, now)

    def _reason(self, text: str, now: datetime) -> str | None:
        try:
            self.verifier.verify(text, now)
        except TokenRefused as refused:
            return refused.reason
        return None
