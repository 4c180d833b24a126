"""The texts of one-time tokens: `reset.<id>.<secret>`, id (16 bytes) and secret (32) in base64url.

The purpose stands at the beginning, so that people and programs see what a token is for; whether it is, the row says.
The secret has 256 bits, so what is kept of it is a plain SHA-256 (ASVS 6.5.2).
"""

import base64
import binascii
import hashlib
import secrets
from uuid import UUID

from authservice.domain.errors import OneTimeTokenInvalid
from authservice.domain.mail import OneTimeToken, Purpose

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
            token = _token(purpose, UUID(bytes=_decoded(encoded_id)), _decoded(encoded_secret))
        except (ValueError, binascii.Error):
            raise OneTimeTokenInvalid from None
        # Padding, other alphabets and loose last bits would give one token several spellings.
        if token.text != text or purpose not in purposes:
            raise OneTimeTokenInvalid
        return token


def _token(purpose: Purpose, token_id: UUID, secret: bytes) -> OneTimeToken:
    if len(secret) != _SECRET_BYTES:
        raise ValueError(f"a secret has {_SECRET_BYTES} bytes")
    text = f"{purpose.value}.{_encoded(token_id.bytes)}.{_encoded(secret)}"
    return OneTimeToken(text, token_id, purpose, hashlib.sha256(secret).digest())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
