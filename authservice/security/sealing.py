"""Sealing the service's secrets before they go into the database, with AES-256-GCM under a key that is never there.

Master keys come as a list, newest first. The newest seals; every one of them opens. So a master key is replaced by
putting the new one in front, running `authservice keys rewrap`, and taking the old one away.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_ID_BYTES = 8
_NONCE_BYTES = 12


class CannotOpen(Exception):
    """No master key opens a sealed secret."""

    def __init__(self, purpose: str) -> None:
        super().__init__(
            f"The secret {purpose!r} in the database was sealed under a master key that is not configured. "
            "Put that key back, as the last of the list, until `authservice keys rewrap` has run."
        )


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals and opens. Lives as long as the process.

    Args:
        master_keys: 32 bytes each, newest first, at least one.
    """

    master_keys: tuple[bytes, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.master_keys or any(len(key) != KEY_BYTES for key in self.master_keys):
            raise ValueError(f"a master key has {KEY_BYTES} bytes")

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """Return `secret` sealed for one purpose. It opens for no other, so rows cannot be swapped."""
        key = self.master_keys[0]
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _key_id(key) + nonce + AESGCM(key).encrypt(nonce, secret, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Return what was sealed for this purpose. Raises CannotOpen."""
        if len(sealed) < _ID_BYTES + _NONCE_BYTES:
            raise CannotOpen(purpose)
        key_id, nonce = sealed[:_ID_BYTES], sealed[_ID_BYTES : _ID_BYTES + _NONCE_BYTES]
        for key in self.master_keys:
            if hmac.compare_digest(_key_id(key), key_id):
                try:
                    return AESGCM(key).decrypt(nonce, sealed[_ID_BYTES + _NONCE_BYTES :], purpose.encode())
                except InvalidTag:
                    break
        raise CannotOpen(purpose)


def master_key_from_secret(secret: bytes) -> bytes:
    """Derive a master key from JWT_SECRET, for installations that have no other secret (RFC 5869)."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"authservice master key").derive(secret)


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"authservice master key id" + key).digest()[:_ID_BYTES]
