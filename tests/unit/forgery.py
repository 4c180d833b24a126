"""Access tokens made by hand: a right signature around whatever a test wants inside.

Nothing here uses the code under test to sign or to encode, so that a fault there cannot hide itself.
"""

import base64
import functools
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
SECONDS = int(NOW.timestamp())
ISSUER, AUDIENCE = "https://auth.example", "internal"
ALGORITHMS = ("ES256", "EdDSA", "RS256", "HS256")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

GOOD_CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "0191d5a5-0000-7000-8000-000000000001",
    "aud": AUDIENCE,
    "client_id": "first-party",
    "exp": SECONDS + 900,
    "iat": SECONDS,
    "nbf": SECONDS,
    "jti": "token-one",
    "sid": "0191d5a5-0000-7000-8000-000000000002",
    "auth_time": SECONDS,
    "amr": ["pwd"],
    "preferred_username": "Ada",
    "roles": ["reader"],
    "gen": 0,
}


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Return what base64url without padding stands for."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def to_json(value: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def claims_with(**fragments: str | None) -> bytes:
    """Return the good claims as JSON, with some values replaced by raw JSON texts, or left out where that is None."""
    texts = {name: json.dumps(value) for name, value in GOOD_CLAIMS.items()} | fragments
    return ("{" + ",".join(f'"{name}":{text}' for name, text in texts.items() if text is not None) + "}").encode()


@dataclass(frozen=True)
class Forger:
    """Holds one key and signs anything with it."""

    kid: str
    alg: str
    private: Any

    @property
    def public(self) -> Any:
        """The public key, or the secret itself for HS256."""
        return self.private if isinstance(self.private, bytes) else self.private.public_key()

    def sign(self, data: bytes) -> bytes:
        """Return the signature in the one form that is accepted."""
        match self.alg, self.private:
            case "ES256", ec.EllipticCurvePrivateKey() as key:
                r, s = decode_dss_signature(key.sign(data, ec.ECDSA(SHA256())))
                return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")
            case "EdDSA", ed25519.Ed25519PrivateKey() as key:
                return key.sign(data)
            case "RS256", rsa.RSAPrivateKey() as key:
                return key.sign(data, padding.PKCS1v15(), SHA256())
            case "HS256", bytes() as secret:
                return hmac.digest(secret, data, hashlib.sha256)
        raise AssertionError(self.alg)

    def header(self, **changes: Any) -> dict[str, Any]:
        """Return the header of a good token, with changes."""
        return {"alg": self.alg, "kid": self.kid, "typ": "at+jwt"} | changes

    def token(self, payload: bytes | None = None, header: bytes | None = None) -> str:
        """Return a token that is rightly signed, good unless told otherwise."""
        head = to_json(self.header()) if header is None else header
        body = to_json(GOOD_CLAIMS) if payload is None else payload
        signed = f"{b64(head)}.{b64(body)}"
        return f"{signed}.{b64(self.sign(signed.encode()))}"


@functools.cache
def forger(alg: str) -> Forger:
    """Return the forger of the service's own key for an algorithm."""
    return Forger(f"own-{alg}", alg, _private_key(alg))


@functools.cache
def stranger(alg: str) -> Forger:
    """Return a forger who uses the id of the service's own key and does not have that key."""
    return Forger(f"own-{alg}", alg, _private_key(alg))


def _private_key(alg: str) -> Any:
    makers: dict[str, Callable[[], Any]] = {
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "HS256": lambda: secrets.token_bytes(32),
    }
    return makers[alg]()
