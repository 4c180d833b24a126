"""The tokens that answer challenges: opaque texts with a secret of 256 random bits.

A token is `ch1.` and the base64url of the challenge's id (16 bytes) and its secret (32). What is kept is the SHA-256 of
the secret; with so many bits a plain hash is enough (ASVS 6.5.2).
"""

import hashlib
import secrets
from uuid import UUID

from authservice.domain.errors import ChallengeOver
from authservice.security import base64url

PREFIX = "ch1."
_SECRET_BYTES = 32
_TEXT_LENGTH = len(PREFIX) + 64


class OpaqueChallengeTokens:
    """See ports.ChallengeTokens."""

    def new(self, challenge_id: UUID) -> tuple[str, bytes]:
        """Return a token, and the hash of its secret part."""
        secret = secrets.token_bytes(_SECRET_BYTES)
        text = PREFIX + base64url.encode(challenge_id.bytes + secret)
        return text, _hash(secret)

    def read(self, text: str) -> tuple[UUID, bytes]:
        """Return which challenge a token answers, and the hash of its secret part. Raises ChallengeOver."""
        if len(text) != _TEXT_LENGTH or not text.startswith(PREFIX):
            raise ChallengeOver
        try:
            raw = base64url.decode(text.removeprefix(PREFIX))
        except ValueError:
            raise ChallengeOver from None
        return UUID(bytes=raw[:16]), _hash(raw[16:])


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
