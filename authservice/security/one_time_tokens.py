"""The texts of one-time tokens: `reset.<id>.<secret>`, id (16 bytes) and secret (32) in base64url.

The purpose stands at the beginning, so that people and programs see what a token is for; whether it is, the row says.
The secret has 256 bits, so what is kept of it is a plain SHA-256 (ASVS 6.5.2).
"""

import hashlib
import secrets
from uuid import UUID

from authservice.domain.errors import OneTimeTokenInvalid
from authservice.domain.mail import OneTimeToken, Purpose
from authservice.security import base64url

_SECRET_BYTES = 32
_MOST_CHARACTERS = 100


class OneTimeTokenMint:
    """Makes and reads one-time tokens."""

    def new(self, token_id: UUID, purpose: Purpose) -> OneTimeToken:
        """Return a new token."""
        return _token(purpose, token_id, secrets.token_bytes(_SECRET_BYTES))

    def read(self, text: str, *purposes: Purpose) -> OneTimeToken:
        """Return the token whose text this is. Raises OneTimeTokenInvalid unless it has the one spelling of these."""
        prefix, _, rest = text[: _MOST_CHARACTERS + 1].partition(".")
        encoded_id, _, encoded_secret = rest.partition(".")
        try:
            purpose = Purpose(prefix)
            token = _token(purpose, UUID(bytes=base64url.decode(encoded_id)), base64url.decode(encoded_secret))
        except ValueError:
            raise OneTimeTokenInvalid from None
        if token.text != text or purpose not in purposes:
            raise OneTimeTokenInvalid
        return token


def _token(purpose: Purpose, token_id: UUID, secret: bytes) -> OneTimeToken:
    if len(secret) != _SECRET_BYTES:
        raise ValueError(f"a secret has {_SECRET_BYTES} bytes")
    text = f"{purpose.value}.{base64url.encode(token_id.bytes)}.{base64url.encode(secret)}"
    return OneTimeToken(text, token_id, purpose, hashlib.sha256(secret).digest())
