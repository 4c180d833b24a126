"""Key sets: those in use by the cases, good ones, and every defect for which a set is refused as a whole (T2)."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.vectors import der
from tests.vectors.book import Book
from tests.vectors.keys import ALGORITHMS, KINDS, Signer, derived, own, stranger

STATES = {"pending": "KEY_STATE_PENDING", "active": "KEY_STATE_ACTIVE", "retired": "KEY_STATE_RETIRED"}
CREATED, ACTIVATED, RETIRED = "2025-12-31T12:00:00Z", "2025-12-31T12:01:00Z", "2026-01-01T11:59:00Z"


def entry(kid: str, alg: str, public_key: bytes) -> dict[str, Any]:
    """Return a SigningKey in the JSON form of Protobuf."""
    return {
        "kid": kid,
        "alg": alg,
        "publicKey": base64.b64encode(public_key).decode(),
        "state": "KEY_STATE_ACTIVE",
        "createTime": CREATED,
        "activateTime": ACTIVATED,
    }


def entry_of(signer: Signer, **changes: Any) -> dict[str, Any]:
    """Return the SigningKey of a signer, with changes; one to None leaves the field out."""
    key = entry(signer.kid, signer.alg, signer.spki) | changes
    return {name: value for name, value in key.items() if value is not None}


def key_set(*keys: dict[str, Any]) -> dict[str, Any]:
    """Return a KeySet."""
    return {"keys": list(keys)}


SHARED_SECRET = {"isSharedSecret": True}


def add_key_sets(book: Book) -> None:
    """Write the keys and key sets that cases name, and all key set cases."""
    book.keys |= {f"own {kind}": entry_of(own(kind)) for kind in KINDS}
    book.keys |= {f"stranger {kind}": entry_of(stranger(kind)) for kind in KINDS}
    book.keys |= {key["kid"]: key for key in _many(65)}
    everything = [entry_of(own(kind)) for kind in KINDS]
    book.key_sets["own"] = key_set(*everything)
    book.key_sets["shared secret"] = SHARED_SECRET
    book.key_sets["strangers with our ids"] = key_set(*(entry_of(stranger(kind)) for kind in KINDS))
    for kind in KINDS:
        left = [entry_of(own(other)) for other in KINDS if other != kind]
        book.key_sets[f"own without {kind}"] = key_set(*left)
        for name, state in STATES.items():
            times = {
                "activateTime": None if name == "pending" else ACTIVATED,
                "retireTime": RETIRED if name == "retired" else None,
            }
            book.key_sets[f"{kind} {name}"] = key_set(entry_of(own(kind), state=state, **times))
    for name, good in _good_sets():
        book.key_set(f"a key set with {name} is taken", good, accepted=True)
    for name, bad in _bad_sets():
        book.key_set(f"a key set with {name} is refused", bad, accepted=False)


def _rsa(bits: int, exponent: int = 65537) -> bytes:
    # Only parsed, never used: no verifier factors a modulus, so any odd number of the right length does.
    return der.rsa_spki(derived(f"modulus {bits}", bits), exponent)


def _many(count: int) -> list[dict[str, Any]]:
    seeds = (hashlib.sha256(f"key {number}".encode()).digest() for number in range(count))
    keys = (ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key() for seed in seeds)
    return [entry(f"key-{number}", "EdDSA", der.spki_of(key)) for number, key in enumerate(keys)]


def _good_sets() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "a key of each kind", key_set(*(entry_of(own(kind)) for kind in KINDS))
    yield "64 keys", key_set(*_many(64))
    yield "no key and a shared secret", SHARED_SECRET
    yield "no times", key_set(entry_of(own("ES256"), createTime=None, activateTime=None))
    yield (
        "a key of each state",
        key_set(*(entry_of(own("ES256"), kid=state, state=value) for state, value in STATES.items())),
    )
    yield "one public key under two ids", key_set(entry_of(own("ES256")), entry_of(own("ES256"), kid="second"))
    yield "two ids that differ in case", key_set(entry_of(own("ES256")), entry_of(own("EdDSA"), kid="OWN-es256"))
    for kind in KINDS:
        yield f"one {kind} key", key_set(entry_of(own(kind)))
        for kid in ("k", "k" * 64, "../etc/passwd", "';DROP-TABLE-keys;--", "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~\\"):
            yield f"a {kind} key with the id {kid!r}", key_set(entry_of(own(kind), kid=kid))
    for bits in (2048, 3072, 4096):
        yield f"an RSA key of {bits} bits", key_set(entry("rsa", "RS256", _rsa(bits)))
    longest = _rsa(986 * 8)
    assert len(longest) == 1024
    yield "a key of 1,024 bytes", key_set(entry("rsa", "RS256", longest))
    yield "an RSA key with the exponent 65,539", key_set(entry("rsa", "RS256", _rsa(2048, 65539)))


def _bad_sets() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "nothing in it", {}
    yield "an empty list of keys", {"keys": []}
    yield "no key and explicitly no shared secret", {"keys": [], "isSharedSecret": False}
    yield "65 keys", key_set(*_many(65))
    yield "a key that says nothing", key_set({})
    for kind in ALGORITHMS:
        signer, key = own(kind), entry_of(own(kind))
        other = own("EdDSA" if kind == "ES256" else "ES256")
        yield f"a {kind} key beside a shared secret", key_set(key) | SHARED_SECRET
        yield f"one {kind} key twice", key_set(key, key)
        yield f"two {kind} keys with one id", key_set(key, entry_of(stranger(kind)))
        yield f"a {kind} key and another with its id", key_set(key, entry_of(other, kid=signer.kid))
        yield (
            f"a {kind} key whose id stands twice in three states",
            key_set(entry_of(signer, state=STATES["retired"]), entry_of(other), entry_of(stranger(kind))),
        )
        for name, changes in _bad_fields():
            bad = entry_of(signer, **changes)
            yield f"a {kind} key with {name}", key_set(bad)
        for name, encoded in _bad_encodings(signer):
            yield f"a {kind} key as {name}", key_set(entry(signer.kid, signer.alg, encoded))
        for alg in ("ES256", "EdDSA", "RS256"):
            if alg != signer.alg:
                yield f"a {kind} key for {alg}", key_set(entry_of(signer, alg=alg))
        wrong = entry_of(signer, publicKey=base64.b64encode(signer.spki + b"\0").decode())
        good = _many(3)
        yield f"a bad {kind} key after three good ones", key_set(*good, wrong)
        yield f"a bad {kind} key before three good ones", key_set(wrong, *good)
        yield f"a bad {kind} key that is retired", key_set(*good, wrong | {"state": STATES["retired"]})
    for alg, name, encoded in _bad_keys():
        yield f"{name} for {alg}", key_set(entry("odd", alg, encoded))


def _bad_fields() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "no id", {"kid": None}
    yield "an empty id", {"kid": ""}
    yield "an id of 65 characters", {"kid": "k" * 65}
    yield "an id of a thousand characters", {"kid": "k" * 1000}
    for kid in ("k\0", "\0", "k\n", "k\tk", "k\x7f", "k\x1b[0m", "kéy", "ключ", "k\u200b", "\ufeffk", "k\u00a0"):
        yield f"the id {kid!a}", {"kid": kid}
    yield "no algorithm", {"alg": None}
    for alg in ("", "none", "None", "HS256", "HS512", "ES384", "ES512", "ES256K", "PS256", "RS384", "RS512", "RS1"):
        yield f"the algorithm {alg!r}", {"alg": alg}
    for alg in (
        "Ed25519",
        "Ed448",
        "es256",
        "eddsa",
        "EDDSA",
        "rs256",
        "ES256 ",
        " EdDSA",
        "RS256\0",
        "RSA",
        "EC",
        "*",
    ):
        yield f"the algorithm {alg!r}", {"alg": alg}
    yield "no state", {"state": None}
    yield "the state unspecified", {"state": "KEY_STATE_UNSPECIFIED"}
    for state in (4, 99, -1):
        yield f"the unknown state {state}", {"state": state}
    yield "no public key", {"publicKey": None}
    yield "an empty public key", {"publicKey": ""}


def _bad_encodings(signer: Signer) -> Iterator[tuple[str, bytes]]:
    spki, public, private = signer.spki, signer.public, signer.private
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield "PEM", pem
    yield "base64 of DER", base64.b64encode(spki)
    yield "SSH", public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    yield "a private key", private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    yield "a SubjectPublicKeyInfo and a zero", spki + b"\0"
    yield "a SubjectPublicKeyInfo and a line end", spki + b"\n"
    yield "a SubjectPublicKeyInfo and an empty sequence", spki + b"\x30\x00"
    yield "two SubjectPublicKeyInfo", spki + spki
    yield "a SubjectPublicKeyInfo after a zero", b"\0" + spki
    yield "a SubjectPublicKeyInfo without its last byte", spki[:-1]
    yield "the first half of a SubjectPublicKeyInfo", spki[: len(spki) // 2]
    yield "a SubjectPublicKeyInfo and zeros up to 1,025 bytes", spki + b"\0" * (1025 - len(spki))
    yield "a SubjectPublicKeyInfo in a sequence", der.sequence(spki)
    yield "a SubjectPublicKeyInfo with a third member", der.sequence(_inside(spki), der.NULL)
    yield "a SubjectPublicKeyInfo with a length in too many bytes", der.with_long_length(spki)
    yield "a SubjectPublicKeyInfo of indefinite length", der.with_indefinite_length(spki)
    yield "an empty sequence", b"\x30\x00"
    yield "zeros", b"\0" * len(spki)
    match signer.alg:
        case "ES256":
            yield "a bare point", public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            compressed = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
            yield "a compressed point", der.spki(der.EC_PUBLIC_KEY + der.P256, compressed)
        case "EdDSA":
            yield "bare bytes", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        case _:
            numbers = public.public_numbers()
            yield "PKCS #1", public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
            yield "a SubjectPublicKeyInfo without parameters", der.rsa_spki(numbers.n, numbers.e, der.RSA_ENCRYPTION)
            yield "a key for PSS only", der.rsa_spki(numbers.n, numbers.e, der.RSASSA_PSS)


def _inside(spki: bytes) -> bytes:
    return spki[2:] if spki[1] < 128 else spki[2 + spki[1] - 128 :]


def _bad_keys() -> Iterator[tuple[str, str, bytes]]:
    curves = (ec.SECP224R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1(), ec.BrainpoolP256R1())
    for curve in curves:
        key = ec.derive_private_key(derived(curve.name, 200), curve).public_key()
        yield "ES256", f"a key on the curve {curve.name}", der.spki_of(key)
    x, y = _point()
    ec_spki = der.EC_PUBLIC_KEY + der.P256
    yield (
        "ES256",
        "a point beside the curve",
        der.spki(ec_spki, b"\x04" + x.to_bytes(32, "big") + (y ^ 1).to_bytes(32, "big")),
    )
    yield "ES256", "the point 0, 0", der.spki(ec_spki, b"\x04" + b"\0" * 64)
    yield "ES256", "the point at infinity", der.spki(ec_spki, b"\0")
    yield "ES256", "a coordinate that is too large", der.spki(ec_spki, b"\x04" + b"\xff" * 64)
    yield (
        "ES256",
        "a point in hybrid form",
        der.spki(ec_spki, bytes([6 + y % 2]) + x.to_bytes(32, "big") + y.to_bytes(32, "big")),
    )
    good_point = b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
    yield "ES256", "a curve without a name", der.spki(der.EC_PUBLIC_KEY, good_point)
    yield "ES256", "unused bits in the key", der.spki(ec_spki, good_point, unused_bits=1)
    seed = hashlib.sha512(b"odd").digest()
    yield "EdDSA", "an Ed448 key", der.spki_of(ed448.Ed448PrivateKey.from_private_bytes((seed * 2)[:57]).public_key())
    yield "EdDSA", "an X25519 key", der.spki_of(x25519.X25519PrivateKey.from_private_bytes(seed[:32]).public_key())
    raw = own("EdDSA").public.public_bytes_raw()
    yield "EdDSA", "a key of 31 bytes", der.spki(der.ED25519, raw[:31])
    yield "EdDSA", "a key of 33 bytes", der.spki(der.ED25519, raw + b"\0")
    yield "EdDSA", "no bytes in the key", der.spki(der.ED25519, b"")
    yield "EdDSA", "parameters beside Ed25519", der.spki(der.ED25519 + der.NULL, raw)
    yield "EdDSA", "unused bits in the key", der.spki(der.ED25519, raw, unused_bits=1)
    for bits in (512, 1024, 1536, 2040, 2047):
        yield "RS256", f"an RSA key of {bits} bits", _rsa(bits)
    for exponent in (1, 3, 17, 257, 65535):
        yield "RS256", f"the RSA exponent {exponent}", _rsa(2048, exponent)
    yield "RS256", "the RSA exponent 3 in 4,096 bits", _rsa(4096, 3)
    yield "RS256", "an RSA key of 1,025 bytes", _rsa(987 * 8)
    yield "RS256", "an RSA key of 16,384 bits", _rsa(16384)
    modulus = derived("modulus 2048", 2048)
    yield (
        "RS256",
        "a third number beside the RSA key",
        der.spki(der.RSA_ENCRYPTION + der.NULL, der.sequence(der.integer(modulus), der.integer(65537), der.integer(1))),
    )
    yield (
        "RS256",
        "a zero after the RSA key",
        der.spki(der.RSA_ENCRYPTION + der.NULL, der.sequence(der.integer(modulus), der.integer(65537)) + b"\0"),
    )
    yield (
        "RS256",
        "a negative modulus",
        der.spki(
            der.RSA_ENCRYPTION + der.NULL,
            der.sequence(der.element(2, modulus.to_bytes(256, "big")), der.integer(65537)),
        ),
    )
    dsa_parameters = der.sequence(der.integer(modulus), der.integer(derived("q", 256)), der.integer(2))
    for alg in ("ES256", "EdDSA", "RS256"):
        yield alg, "a DSA key", der.spki(der.DSA + dsa_parameters, der.integer(derived("y", 2040)))
        yield alg, "text in place of a key", b"a key"


def _point() -> tuple[int, int]:
    numbers = own("ES256").public.public_numbers()
    return numbers.x, numbers.y
