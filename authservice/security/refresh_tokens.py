"""Refresh tokens: opaque texts that only this service can have made.

A token is `rt1.` and the base64url of session id (16 bytes), generation (4), secret (32) and seal (16). The secret of
generation n+1 is an HMAC of the secret of generation n under the service's key, so every server computes the same
successor without asking anyone, and neither the database nor the key alone yields a token. The seal is an HMAC over the
rest: a text that nobody was given cannot end somebody's session as a "reused" token. A session stores the SHA-256 of
its token; the secret has 256 bits, so a plain hash is enough (ASVS 6.5.2).
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from uuid import UUID

from authservice.domain.errors import TokenInvalid
from authservice.domain.tokens import RefreshToken
from authservice.security import base64url

PREFIX = "rt1."
_SECRET_BYTES = 32
_SEAL_BYTES = 16
_BODY_BYTES = 16 + 4 + _SECRET_BYTES
_TEXT_LENGTH = len(PREFIX) + 91


@dataclass(frozen=True, slots=True)
class SealedRefreshTokens:
    """Makes and reads refresh tokens. `key` has 32 bytes. Lives as long as the process."""

    key: bytes = field(repr=False)

    def first(self, session_id: UUID) -> RefreshToken:
        """Return the first token of a new session."""
        return self._token(session_id, 0, secrets.token_bytes(_SECRET_BYTES))

    def successor(self, token: RefreshToken) -> RefreshToken:
        """Return the one token that follows."""
        body = _decode(token.text)[:_BODY_BYTES]
        return self._token(token.session_id, token.generation + 1, self._mac(b"successor", body))

    def heir(self, token: RefreshToken, generation: int) -> RefreshToken:
        """Return the token that has followed from one by a later generation; that itself, if it is of this one."""
        while token.generation < generation:
            token = self.successor(token)
        return token

    def read(self, text: str) -> RefreshToken:
        """Return the token whose text this is.

        Raises TokenInvalid unless it has the one spelling that this service gave it.
        """
        raw = _decode(text)
        body, seal = raw[:_BODY_BYTES], raw[_BODY_BYTES:]
        if not hmac.compare_digest(seal, self._seal(body)):
            raise TokenInvalid
        return RefreshToken(text, UUID(bytes=body[:16]), int.from_bytes(body[16:20]), _hash(raw))

    def _token(self, session_id: UUID, generation: int, secret: bytes) -> RefreshToken:
        body = session_id.bytes + generation.to_bytes(4) + secret
        raw = body + self._seal(body)
        text = PREFIX + base64url.encode(raw)
        return RefreshToken(text, session_id, generation, _hash(raw))

    def _seal(self, body: bytes) -> bytes:
        return self._mac(b"seal", body)[:_SEAL_BYTES]

    def _mac(self, purpose: bytes, body: bytes) -> bytes:
        return hmac.digest(self.key, purpose + b"\0" + body, hashlib.sha256)


def _decode(text: str) -> bytes:
    if len(text) != _TEXT_LENGTH or not text.startswith(PREFIX):
        raise TokenInvalid
    try:
        return base64url.decode(text.removeprefix(PREFIX))
    except ValueError:
        raise TokenInvalid from None


def _hash(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()
