"""Key sets as TrustService sends them: taken as a whole, or refused as a whole."""

from collections.abc import Mapping

from authapi.v1 import trust_service_pb2 as api
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from authclient._tokens.keys import PublicKey, VerificationKey

MAX_KEYS = 64
MAX_KEY_ID = 64
MAX_PUBLIC_KEY_BYTES = 1024
SHARED_SECRET_ID = "jwt-secret"  # noqa: S105
"""The key id of tokens that are signed with a shared secret."""

_ALGORITHMS = ("ES256", "EdDSA", "RS256")
_STATES = (api.KEY_STATE_PENDING, api.KEY_STATE_ACTIVE, api.KEY_STATE_RETIRED)


class KeySetRefused(ValueError):
    """A key set holds something that no good one holds. The text says what."""


def load_key_set(key_set: api.KeySet, known: Mapping[str, VerificationKey] | None = None) -> dict[str, VerificationKey]:
    """Return the keys of a set by their ids. Raises KeySetRefused if any of them is not good.

    A key that is in `known` already, and is still the same, is returned as that object: what was verified with it may
    be remembered.
    """
    if key_set.is_shared_secret and key_set.keys:
        raise KeySetRefused("a shared secret and keys exclude each other")
    if not key_set.is_shared_secret and not 1 <= len(key_set.keys) <= MAX_KEYS:
        raise KeySetRefused(f"there are {len(key_set.keys)} keys, between 1 and {MAX_KEYS} are expected")
    keys: dict[str, VerificationKey] = {}
    for sent in key_set.keys:
        key = _load(sent)
        if key.kid in keys:
            raise KeySetRefused(f"two keys have the id {key.kid!r}")
        earlier = (known or {}).get(key.kid)
        keys[key.kid] = earlier if earlier == key else key
    return keys


def _load(sent: api.SigningKey) -> VerificationKey:
    kid = sent.kid
    if not (1 <= len(kid) <= MAX_KEY_ID and kid.isascii() and kid.isprintable()):
        raise KeySetRefused("a key id is not 1 to 64 printable ASCII characters")
    if sent.alg not in _ALGORITHMS:
        raise KeySetRefused(f"the algorithm of key {kid!r} is none of {', '.join(_ALGORITHMS)}")
    if sent.state not in _STATES:
        raise KeySetRefused(f"the state of key {kid!r} is unknown")
    try:
        return VerificationKey(kid, sent.alg, _public_key(kid, sent.public_key))
    except ValueError as error:
        raise KeySetRefused(str(error)) from None


def _public_key(kid: str, der: bytes) -> PublicKey:
    if len(der) > MAX_PUBLIC_KEY_BYTES:
        raise KeySetRefused(f"key {kid!r} has more than {MAX_PUBLIC_KEY_BYTES} bytes")
    try:
        key = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):  # The last is of cryptography 43.
        raise KeySetRefused(f"key {kid!r} is no public key of a known kind") from None
    if not isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey):
        raise KeySetRefused(f"key {kid!r} is of a kind that signs no tokens")
    # The reader accepts other encodings of the same key, and what is not read could say anything.
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != der:
        raise KeySetRefused(f"key {kid!r} is not exactly one SubjectPublicKeyInfo in DER")
    return key
