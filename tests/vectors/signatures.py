"""Good tokens of every kind of key, and signatures that are wrong or have another form (T1, T10, T11)."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512

from tests.vectors import p256
from tests.vectors.book import Book, b64, claims, to_json, token, unb64
from tests.vectors.key_sets import STATES, entry_of, key_set
from tests.vectors.keys import ALGORITHMS, ED25519_ORDER, KINDS, P256_ORDER, Signer, es256_signature, own, stranger

FLIP_EVERY = {"ES256": 7, "EdDSA": 11}
"""In bits; odd, so that each of the 8 bits of a byte is hit."""


def add_signatures(book: Book) -> None:
    """Write all cases of this module."""
    _good(book)
    for kind in ALGORITHMS:
        _wrong(book, kind)
    for name, signature in {"2048-bit": own("RS256"), "stranger's 3072-bit": stranger("RS256-3072")}.items():
        text = token(header=own("RS256-3072").header(), key=signature)
        book.refuses(f"a {name} RSA signature is none of our 3072-bit key", "T1", text)
    _edges_of_es256(book)
    _key_sets(book)
    _flips(book)


def with_signature(text: str, signature: bytes) -> str:
    """Return the token with another signature."""
    return f"{text.rpartition('.')[0]}.{b64(signature)}"


def _good(book: Book) -> None:
    for kind in KINDS:
        good = book.good(kind)
        book.accepts(f"a good token of an {kind} key is accepted", "T1", good)
        for state in STATES:
            book.accepts(f"a {state} {kind} key verifies", "T1 T2", good, keys=f"{kind} {state}")
        for number in range(3):
            # Another jti gives other bytes, and another length for each kind of padding.
            other = token(claims(jti="n" * (number + 1)), key=own(kind))
            book.accepts(
                f"a good token of an {kind} key with a jti of {number + 1} characters is accepted", "T1", other
            )


def _wrong(book: Book, kind: str) -> None:
    signer, good = own(kind), token(key=own(kind))
    book.refuses(f"a stranger's {kind} key under our key's id is refused", "T1", token(key=stranger(kind)))
    for name, signature in {**dict(_common_shapes(signer, good)), **dict(_shapes(signer, good))}.items():
        book.refuses(f"an {kind} signature {name} is refused", "T1", with_signature(good, signature))
    header, payload, signature_text = good.split(".")
    flattened = {"payload": payload, "protected": header, "signature": signature_text}
    general = {"payload": payload, "signatures": [{"protected": header, "signature": signature_text}]}
    forms = {
        "the flattened JSON form": json.dumps(flattened),
        "the general JSON form": json.dumps(general),
        "the JSON form without spaces": to_json(flattened).decode(),
        "a detached payload": f"{header}..{signature_text}",
        "no signature": f"{header}.{payload}.",
        "no signature and no dot before it": f"{header}.{payload}",
        "no header": f".{payload}.{signature_text}",
        "only a header": header,
        "parts in another order": f"{payload}.{header}.{signature_text}",
    }
    for name, form in forms.items():
        book.refuses(f"a good {kind} token in {name} is refused", "T1 T6", form)


def _common_shapes(signer: Signer, good: str) -> Iterator[tuple[str, bytes]]:
    header, payload, signature_text = good.split(".")
    signature = unb64(signature_text)
    size = len(signature)
    for length in (1, 8, 32, size // 2, size - 2, size - 1):
        yield f"cut to its first {length} bytes", signature[:length]
    for length in (1, 8, size - 1):
        yield f"without its first {length} bytes", signature[length:]
    yield "with a zero after it", signature + b"\0"
    yield "with a zero before it", b"\0" + signature
    yield "twice", signature + signature
    yield "with 32 zeros after it", signature + b"\0" * 32
    yield "backwards", signature[::-1]
    for byte in (0x00, 0x01, 0x7F, 0xFF):
        yield f"of bytes {byte:#04x}", bytes([byte]) * size
    for position in (0, size // 2, size - 1):
        changed = bytearray(signature)
        changed[position] ^= 1
        yield f"with its byte {position} changed", bytes(changed)
    yield "over nothing", signer.sign(b"")
    yield "over the header alone", signer.sign(header.encode())
    yield "over the payload alone", signer.sign(payload.encode())
    yield "over the decoded parts", signer.sign(unb64(header) + b"." + unb64(payload))
    yield "over the payload before the header", signer.sign(f"{payload}.{header}".encode())
    yield "over other claims", unb64(token(claims(roles=["admin"]), key=signer).split(".")[2])
    yield "over the digest", signer.sign(hashlib.sha256(f"{header}.{payload}".encode()).digest())


def _shapes(signer: Signer, good: str) -> Iterator[tuple[str, bytes]]:
    signed, _, signature_text = good.rpartition(".")
    data, signature = signed.encode(), unb64(signature_text)
    match signer.alg:
        case "ES256":
            yield from _shapes_of_es256(signer, data, signature)
        case "EdDSA":
            yield from _shapes_of_eddsa(signer, data, signature)
        case _:
            yield from _shapes_of_rs256(signer, data, signature)


def _shapes_of_es256(signer: Signer, data: bytes, signature: bytes) -> Iterator[tuple[str, bytes]]:
    r, s, n = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"), P256_ORDER
    yield "in its other form, r and n - s", es256_signature(r, n - s)
    yield "with n - r", es256_signature(n - r, s)
    yield "with s before r", es256_signature(s, r)
    numbers = {"0": 0, "1": 1, "n - 1": n - 1, "n": n, "n + 1": n + 1, "p": p256.PRIME, "2^256 - 1": 2**256 - 1}
    for name, number in numbers.items():
        yield f"whose r is {name}", es256_signature(number, s)
        yield f"whose s is {name}", es256_signature(r, number)
        yield f"whose r and s are {name}", es256_signature(number, number)
    yield "whose r is 0 and whose s is 1", es256_signature(0, 1)
    yield "whose r is n and whose s is 0", es256_signature(n, 0)
    yield "with numbers that begin with their lowest byte", signature[31::-1] + signature[:31:-1]
    yield "with 33 bytes for each number", b"\0" + signature[:32] + b"\0" + signature[32:]
    yield "in DER", signer.private.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True))
    for digest in (SHA384(), SHA512()):
        other = decode_dss_signature(signer.private.sign(data, ec.ECDSA(digest, deterministic_signing=True)))
        yield f"over {digest.name}", es256_signature(other[0], min(other[1], n - other[1]))


def _shapes_of_eddsa(signer: Signer, data: bytes, signature: bytes) -> Iterator[tuple[str, bytes]]:
    s = int.from_bytes(signature[32:], "little")
    for times in (1, 2, 8):
        yield f"whose S is larger by {times} times the order", _eddsa(signature[:32], s + times * ED25519_ORDER)
    yield "whose S is negated", _eddsa(signature[:32], ED25519_ORDER - s)
    yield "whose S is 0", _eddsa(signature[:32], 0)
    yield "whose S is the order", _eddsa(signature[:32], ED25519_ORDER)
    yield "with the sign of R changed", signature[:31] + bytes([signature[31] ^ 0x80]) + signature[32:]
    # Points of order 1, 2 and 4 (RFC 7748 section 6) and two that are spelt otherwise: lax verifiers take them.
    points = {
        "of order 1": b"\x01" + b"\0" * 31,
        "of order 2": b"\xec" + b"\xff" * 30 + b"\x7f",
        "of order 4": b"\0" * 32,
        "of order 1, written differently": b"\x01" + b"\0" * 30 + b"\x80",
        "of order 1, written with y = p + 1": b"\xee" + b"\xff" * 30 + b"\x7f",
    }
    for name, point in points.items():
        yield f"whose R is {name} and whose S is 0", point + b"\0" * 32
        yield f"whose R is {name}", point + signature[32:]
    yield "over SHA-512", signer.sign(hashlib.sha512(data).digest())
    yield "with S before R", signature[32:] + signature[:32]


def _eddsa(r: bytes, s: int) -> bytes:
    return r + s.to_bytes(32, "little")


def _shapes_of_rs256(signer: Signer, data: bytes, signature: bytes) -> Iterator[tuple[str, bytes]]:
    numbers = signer.private.private_numbers()
    n, size = numbers.public_numbers.n, len(signature)
    for digest in (SHA1(), SHA384(), SHA512()):
        yield f"over {digest.name}", signer.private.sign(data, padding.PKCS1v15(), digest)
    # PSS without salt, because salt is random and the file has to come out the same each time.
    yield "with PSS", signer.private.sign(data, padding.PSS(padding.MGF1(SHA256()), 0), SHA256())
    for name, number in {"0": 0, "1": 1, "n - 1": n - 1, "n": n, "n + 1": n + 1, "2^k - 1": 256**size - 1}.items():
        yield f"whose number is {name}", number.to_bytes(size, "big")
    yield "whose number is n - s", (n - int.from_bytes(signature, "big")).to_bytes(size, "big")
    yield "whose number is s + n", (int.from_bytes(signature, "big") + n).to_bytes(size + 1, "big")
    digest_bytes = hashlib.sha256(data).digest()
    with_null = bytes.fromhex("3031300d060960864801650304020105000420")
    for name, block in _blocks(digest_bytes, with_null, size).items():
        yield f"over a block {name}", pow(int.from_bytes(block, "big"), numbers.d, n).to_bytes(size, "big")


def _blocks(digest: bytes, prefix: bytes, size: int) -> dict[str, bytes]:
    """Return encoded messages that differ a little from that of RFC 8017 section 9.2."""

    def block(info: bytes, after: bytes = b"", kind: bytes = b"\0\x01", filler: bytes = b"\xff") -> bytes:
        return kind + filler * (size - 3 - len(info) - len(after)) + b"\0" + info + after

    good = prefix + digest
    return {
        "without NULL after the hash": block(bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + digest),
        "without the name of the hash": block(digest),
        "with the name of SHA-512": block(bytes.fromhex("3031300d060960864801650304020305000420") + digest),
        "with a byte behind the digest": block(good, after=b"\0"),
        "with most of it behind the digest": block(good, after=b"\0" * (size - 3 - 8 - len(good))),
        "of the second kind": block(good, kind=b"\0\x02"),
        "of kind 0": block(good, kind=b"\0\0", filler=b"\0"),
        "filled with another byte": block(good, filler=b"\xfe"),
        "with a long length": block(bytes.fromhex("308131300d060960864801650304020105000420") + digest),
    }


def _edges_of_es256(book: Book) -> None:
    """Write cases about numbers that signing does not hit: the key is computed after the signature."""
    half = P256_ORDER // 2
    edges = {"1": 1, "half the order, rounded down": half, "half the order, rounded up": half + 1}
    nonce_point = p256.multiply(0xC0FFEE, p256.BASE)
    for name, s in edges.items():
        text, keys = _computed(f"s-{s:x}"[:12], nonce_point, s)
        book.key_sets[f"s is {name}"] = keys
        add = book.accepts if s <= half else book.refuses
        add(
            f"an ES256 signature whose s is {name} is {'good' if s <= half else 'refused'}",
            "T1",
            text,
            keys=f"s is {name}",
        )
    # A point whose x is larger than the order: r is x less the order, and x itself is no r.
    x = P256_ORDER + 3
    text, keys = _computed("large-x", p256.lift(x), 5)
    book.key_sets["x above n"] = keys
    book.accepts("an ES256 signature whose r wraps around the order is good", "T1", text, keys="x above n")
    unreduced = with_signature(text, es256_signature(x, 5))
    book.refuses(
        "an ES256 signature whose r does not wrap around the order is refused", "T1", unreduced, keys="x above n"
    )


def _computed(kid: str, nonce_point: p256.Point, s: int) -> tuple[str, dict[str, Any]]:
    """Return a token with the given signature and a key set under which it is mathematically good."""
    header, r = {"alg": "ES256", "kid": kid, "typ": "at+jwt"}, nonce_point[0] % P256_ORDER
    signed = f"{b64(to_json(header))}.{b64(claims())}"
    digest = int.from_bytes(hashlib.sha256(signed.encode()).digest(), "big")
    point = p256.public_key_for(nonce_point, r, s, digest)
    public = ec.EllipticCurvePublicNumbers(*point, ec.SECP256R1()).public_key()
    spki = p256.spki(public)
    keys = key_set(entry_of(own("ES256"), kid=kid, publicKey=spki))
    return f"{signed}.{b64(es256_signature(r, s))}", keys


def _key_sets(book: Book) -> None:
    for kind in KINDS:
        good, gone = book.good(kind), f"own without {kind}"
        book.refuses(f"a good {kind} token is refused where its key is not in the set", "T2 T10", good, keys=gone)
        book.refuses(
            f"a good {kind} token is refused where its key is gone for ten seconds", "T10", good, keys=gone, view_age=10
        )
        book.refuses(
            f"a good {kind} token is refused where its id stands for another key",
            "T10",
            good,
            keys="strangers with our ids",
        )
        impostor = book.named(f"stranger {kind}", token(key=stranger(kind)))
        book.accepts(
            f"a {kind} token of the key that has the id now is accepted", "T10", impostor, keys="strangers with our ids"
        )
    good = book.good()
    book.accepts("the same token passes a rule that asks for its role", "T10", good, rule={"anyRole": ["reader"]})
    book.refuses(
        "the same token does not pass one for another", "T10", good, "ROLE_MISSING", rule={"anyRole": ["admin"]}
    )
    book.refuses("the same token does not pass where there is no rule", "T10", good, "METHOD_WITHOUT_RULE", rule=None)


def _flips(book: Book) -> None:
    for kind, every in FLIP_EVERY.items():
        good = book.good(kind)
        for bit in range(0, len(book.texts[good["name"]]) * 8, every):
            book.refuses(f"a good {kind} token with bit {bit} inverted is refused", "T11", {**good, "flip": bit})
