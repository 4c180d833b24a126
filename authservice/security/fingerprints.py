"""Keyed hashes for texts that must be recognised and not read, such as a mistyped user name that may be a password."""

import hashlib
import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KeyedFingerprints:
    """HMAC-SHA-256 under the service's key. Lives as long as the process."""

    key: bytes = field(repr=False)

    def of(self, kind: str, text: str) -> bytes:
        """Return 32 bytes that stand for a text of one kind."""
        return hmac.digest(self.key, f"{kind}\0{text}".encode(), hashlib.sha256)
