"""Tokens of passkey ceremonies: id and end, with a keyed hash that binds them to a purpose and a subject.

Nothing is kept of a ceremony before it is answered, so that asking for one costs the database nothing. That one is
answered once, whoever takes the answer has to see to.
"""

import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from authservice.domain.errors import ChallengeOver
from authservice.ports import Fingerprints
from authservice.security import base64url

PREFIX = "pk1."
_ID_BYTES = 16
_END = struct.Struct(">Q")
_MAC_BYTES = 32
_TEXT_LENGTH = len(PREFIX) + 75


@dataclass(frozen=True, slots=True)
class KeyedCeremonyTokens:
    """See ports.CeremonyTokens. Lives as long as the process."""

    fingerprints: Fingerprints

    def new(self, purpose: str, subject: str, ceremony_id: UUID, expires_at: datetime) -> str:
        """Return a token."""
        told = ceremony_id.bytes + _END.pack(int(expires_at.timestamp() * 1000))
        return PREFIX + base64url.encode(told + self._mac(told, purpose, subject))

    def read(self, text: str, purpose: str, subject: str, now: datetime) -> tuple[UUID, datetime]:
        """Return id and end of a ceremony. Raises ChallengeOver."""
        if len(text) != _TEXT_LENGTH or not text.startswith(PREFIX):
            raise ChallengeOver
        try:
            raw = base64url.decode(text.removeprefix(PREFIX))
        except ValueError:
            raise ChallengeOver from None
        told, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(told, purpose, subject)):
            raise ChallengeOver
        (end,) = _END.unpack(told[_ID_BYTES:])
        expires_at = datetime.fromtimestamp(end / 1000, UTC)
        if now >= expires_at:
            raise ChallengeOver
        return UUID(bytes=told[:_ID_BYTES]), expires_at

    def _mac(self, told: bytes, purpose: str, subject: str) -> bytes:
        return self.fingerprints.of(f"ceremony {purpose}", f"{told.hex()}\0{subject}")
