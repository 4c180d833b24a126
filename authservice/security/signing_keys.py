"""Making, sealing and opening the keys that sign access tokens."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime

from authclient import VerificationKey
from authclient._tokens.signing import PrivateKey
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from authservice.domain.signing_key import KeyState, SigningKey
from authservice.security.sealing import Sealer

NEW_RSA_BITS = 3072
"""128-bit security (ASVS 11.2.3)."""


@dataclass(frozen=True, slots=True)
class Forge:
    """Makes keys of one algorithm. Lives as long as the process.

    Args:
        alg: ES256, EdDSA or RS256.
    """

    alg: str
    sealer: Sealer

    def make(self, now: datetime) -> SigningKey:
        """Return a new pending key."""
        private = _generate(self.alg)
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        kid = base64.urlsafe_b64encode(hashlib.sha256(public).digest())[:16].decode("ascii")
        encoded = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return SigningKey(kid, self.alg, KeyState.PENDING, public, self.sealer.seal(encoded, kid), now)

    def reseal(self, sealed: bytes, purpose: str) -> bytes:
        """Return the same secret sealed under the newest master key."""
        return self.sealer.seal(self.sealer.open(sealed, purpose), purpose)

    def open(self, key: SigningKey) -> PrivateKey:
        """Return the private key. Raises CannotOpen."""
        private = load_der_private_key(self.sealer.open(key.sealed_private, key.kid), password=None)
        assert isinstance(private, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey)
        return private


def verification_key(key: SigningKey) -> VerificationKey:
    """Return the public side of a signing key. Raises ValueError if it does not fit its algorithm."""
    public = load_der_public_key(key.public)
    assert isinstance(public, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey)
    return VerificationKey(key.kid, key.alg, public)


def _generate(alg: str) -> PrivateKey:
    match alg:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "RS256":
            return rsa.generate_private_key(65537, NEW_RSA_BITS)
    raise ValueError(f"unknown algorithm {alg!r}; ES256, EdDSA and RS256 are known")
