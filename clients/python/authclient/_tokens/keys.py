"""The keys that access tokens are verified with.

A key names its algorithm, and that name alone decides how a signature is checked: what a token says about algorithms is
only compared with it (RFC 8725 section 3.1). Keys too weak for their algorithm are refused when they are loaded, not
when they are used.
"""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWS

from authclient._tokens.edwards import is_sound_point

ALGORITHMS = ("ES256", "EdDSA", "RS256", "HS256")
"""The signature algorithms of this service (RFC 7518, RFC 8037). Everything else is refused."""

MIN_RSA_BITS = 2048
"""RFC 7518 section 3.3."""
RSA_EXPONENT = 65537
"""The only one. Libraries differ in which others they can work with."""
MIN_HMAC_BYTES = 32
"""RFC 7518 section 3.2: an HMAC key is at least as long as its hash."""

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the group of ES256 (SEC 2, curve secp256r1)."""

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey
_SIGNATURES = PyJWS(algorithms=list(ALGORITHMS))


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One key, bound to one algorithm. Lives as long as the key set that holds it.

    `key` is a public key, or the shared secret as bytes for HS256. Raises ValueError if the two do not fit, or the key
    is too weak.
    """

    kid: str
    alg: str
    key: PublicKey | bytes = field(repr=False)

    def __post_init__(self) -> None:
        if complaint := _complaint(self.alg, self.key):
            raise ValueError(f"key {self.kid!r} cannot be used for {self.alg}: {complaint}")

    def verifies(self, signed: bytes, signature: bytes) -> bool:
        """Tell whether `signature` is the one valid form of a signature over `signed`."""
        if self.alg == "ES256" and not _is_low_s(signature):
            return False
        return _SIGNATURES.get_algorithm_by_name(self.alg).verify(signed, self.key, signature)


def _complaint(alg: str, key: PublicKey | bytes) -> str | None:
    match alg, key:
        case "ES256", EllipticCurvePublicKey():
            return None if isinstance(key.curve, SECP256R1) else "it is not on the curve P-256"
        case "EdDSA", Ed25519PublicKey():
            return None if is_sound_point(key.public_bytes_raw()) else "it is no point of full order"
        case "RS256", RSAPublicKey():
            return _complaint_about_rsa(key)
        case "HS256", str():
            return "the secret is a text; give bytes, such as secret.encode()"
        case "HS256", bytes():
            return None if len(key) >= MIN_HMAC_BYTES else f"it has fewer than {MIN_HMAC_BYTES} bytes"
    return "the algorithm is unknown or the key is of another kind"


def _complaint_about_rsa(key: RSAPublicKey) -> str | None:
    numbers = key.public_numbers()
    if key.key_size < MIN_RSA_BITS:
        return f"it has fewer than {MIN_RSA_BITS} bits"
    if key.key_size % 8 or not numbers.n & 1:
        return "its modulus is even or does not fill its bytes"
    return None if numbers.e == RSA_EXPONENT else f"its exponent is not {RSA_EXPONENT}"


def _is_low_s(signature: bytes) -> bool:
    # (r, s) and (r, n - s) sign the same bytes. Only the smaller s is ours, so that a token has one spelling.
    return len(signature) == 64 and int.from_bytes(signature[32:], "big") <= P256_ORDER // 2
