"""Making access tokens in the one form that verifiers accept."""

import base64
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt import PyJWS

from authclient._tokens.grammar import TOKEN_TYPE
from authclient._tokens.keys import ALGORITHMS, P256_ORDER

PrivateKey: TypeAlias = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey

_ALGORITHMS = PyJWS(algorithms=list(ALGORITHMS))


def sign(claims: Mapping[str, Any], kid: str, alg: str, key: PrivateKey | bytes) -> str:
    """Return a token with these claims, signed with a private key, or with a shared secret for HS256."""
    header = {"alg": alg, "kid": kid, "typ": TOKEN_TYPE}
    signed = b".".join(
        _base64url(json.dumps(part, separators=(",", ":"), ensure_ascii=False).encode()) for part in (header, claims)
    )
    signature = _ALGORITHMS.get_algorithm_by_name(alg).sign(signed, key)
    if alg == "ES256":
        signature = _low_s(signature)
    return (signed + b"." + _base64url(signature)).decode("ascii")


def _low_s(signature: bytes) -> bytes:
    # Both s and n - s are valid; verifiers take the smaller one only.
    r, s = signature[:32], int.from_bytes(signature[32:], "big")
    return r + min(s, P256_ORDER - s).to_bytes(32, "big")


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
