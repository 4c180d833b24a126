"""Key sets: those in use by the cases, good ones, and every defect for which a set is refused as a whole (T2)."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.vectors import der
from tests.vectors.bad_keys import FIELD, bad_keys, rsa_key
from tests.vectors.book import Book
from tests.vectors.keys import ALGORITHMS, KINDS, Signer, own, stranger

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
        yield f"an RSA key of {bits} bits", key_set(entry("rsa", "RS256", rsa_key(bits)))
    for y in (3, 4, FIELD - 3):
        for sign in (0, 1):
            encoded = der.spki(der.ED25519, (y + (sign << 255)).to_bytes(32, "little"))
            yield f"the Ed25519 point y = {y} and the sign {sign}", key_set(entry("point", "EdDSA", encoded))
    longest = rsa_key(986 * 8)
    assert len(longest) == 1024
    yield "a key of 1,024 bytes", key_set(entry("rsa", "RS256", longest))


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
    for alg, name, encoded in bad_keys():
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
