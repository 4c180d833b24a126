"""The keys of the vectors: private, public, and worth nothing, because everybody can compute them from this file.

Each is derived from a text, so that the vectors come out byte for byte the same on every machine and no private key has
to be stored. Nothing here uses the code under test.
"""

import functools
import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tests.vectors.der import spki_of

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the group of ES256 (SEC 2, curve secp256r1)."""
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
"""Order of the group of EdDSA (RFC 8032 section 5.1)."""

KINDS = {"ES256": "ES256", "EdDSA": "EdDSA", "RS256": "RS256", "RS256-3072": "RS256"}
"""Each kind of key that occurs, and its algorithm."""
ALGORITHMS = ("ES256", "EdDSA", "RS256")
"""The kinds that stand for their algorithm where a second size of RSA key would only say the same again."""

_TO_THE_PRIMES = {
    "own RSA-2048": (73, 69),
    "stranger RSA-2048": (1, 229),
    "own RSA-3072": (709, 105),
    "stranger RSA-3072": (345, 652),
}
"""How many odd numbers lie between a derived number and the next prime: found once, to save seconds at each run."""


def derived(label: str, bits: int) -> int:
    """Return an odd number of exactly so many bits that looks random and is always the same."""
    digest = hashlib.shake_256(label.encode()).digest((bits + 7) // 8)
    number = int.from_bytes(digest, "big") % (1 << bits)
    return number | 3 << (bits - 2) | 1


class Signer:
    """Holds one private key and signs anything with it, in the one form that is accepted."""

    def __init__(self, kid: str, alg: str, private: Any) -> None:
        self.kid, self.alg, self.private = kid, alg, private

    @property
    def public(self) -> Any:
        """The public key."""
        return self.private.public_key()

    @property
    def spki(self) -> bytes:
        """The public key as a key set carries it."""
        return spki_of(self.public)

    def sign(self, data: bytes) -> bytes:
        """Return the signature. The same data always has the same one."""
        match self.private:
            case ec.EllipticCurvePrivateKey() as key:
                r, s = decode_dss_signature(key.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True)))
                return es256_signature(r, min(s, P256_ORDER - s))
            case ed25519.Ed25519PrivateKey() as key:
                return key.sign(data)
            case rsa.RSAPrivateKey() as key:
                return key.sign(data, padding.PKCS1v15(), SHA256())
        raise AssertionError(self.alg)

    def header(self, **changes: Any) -> dict[str, Any]:
        """Return the header of a good token, with changes."""
        return {"alg": self.alg, "kid": self.kid, "typ": "at+jwt"} | changes


@functools.cache
def own(kind: str) -> Signer:
    """Return the signer with the service's own key of a kind."""
    return Signer(f"own-{kind}", KINDS[kind], _private_key("own", kind))


@functools.cache
def stranger(kind: str) -> Signer:
    """Return a signer who uses the id of the service's own key and does not have that key."""
    return Signer(f"own-{kind}", KINDS[kind], _private_key("stranger", kind))


def es256_signature(r: int, s: int) -> bytes:
    """Return the 64 bytes of RFC 7518 section 3.4."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _private_key(owner: str, kind: str) -> Any:
    match kind:
        case "ES256":
            return ec.derive_private_key(derived(f"{owner} P-256", 256) % P256_ORDER, ec.SECP256R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"{owner} Ed25519".encode()).digest())
        case "RS256":
            return _rsa(owner, 2048)
        case _:
            return _rsa(owner, 3072)


def _rsa(owner: str, bits: int) -> rsa.RSAPrivateKey:
    label, e = f"{owner} RSA-{bits}", 65537
    p, q = (
        derived(f"{label} {letter}", bits // 2) + 2 * steps
        for letter, steps in zip("pq", _TO_THE_PRIMES[label], strict=True)
    )
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key()
