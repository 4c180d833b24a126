"""A good token has one spelling and one signature: every other form of it is refused."""

import hashlib
import hmac
import itertools
import json
import random
import string
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512

from authservice.domain.errors import TokenInvalid, TokenMissing
from tests.unit.desk import Desk
from tests.unit.forgery import ALGORITHMS, GOOD_CLAIMS, P256_ORDER, b64, forger, stranger, to_json, unb64

ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
BASE64URL = string.ascii_letters + string.digits + "-_"
every_algorithm = pytest.mark.parametrize("alg", ALGORITHMS)


def with_signature(token: str, signature: bytes) -> str:
    return f"{token.rpartition('.')[0]}.{b64(signature)}"


def parts_of(token: str) -> tuple[bytes, bytes]:
    """Return the signed bytes and the signature."""
    signed, _, signature = token.rpartition(".")
    return signed.encode(), unb64(signature)


@every_algorithm
def test_a_token_forged_with_the_real_key_is_accepted(alg: str) -> None:
    identity = Desk(forger(alg)).read(forger(alg).token())
    assert identity.user_name == "Ada"
    assert identity.roles == ("reader",)
    assert str(identity.session_id) == GOOD_CLAIMS["sid"]


@every_algorithm
def test_t1_another_key_under_the_same_id_is_refused(alg: str) -> None:
    assert Desk(forger(alg)).verdict(stranger(alg).token()) is TokenInvalid


@every_algorithm
def test_t1_shortened_and_lengthened_signatures_are_refused(alg: str) -> None:
    desk, token = Desk(forger(alg)), forger(alg).token()
    _, signature = parts_of(token)
    shapes = [signature[:length] for length in range(1, len(signature))]
    shapes += [signature[length:] for length in range(1, len(signature))]
    shapes += [signature + b"\0", b"\0" + signature, signature + signature, signature + b"\0" * 32]
    assert {desk.verdict(with_signature(token, shape)) for shape in shapes} == {TokenInvalid}
    assert desk.verdict(token) is None


@every_algorithm
def test_t1_constant_signatures_are_refused(alg: str) -> None:
    desk, token = Desk(forger(alg)), forger(alg).token()
    length = len(parts_of(token)[1])
    for byte in (b"\0", b"\x01", b"\x7f", b"\xff"):
        assert desk.verdict(with_signature(token, byte * length)) is TokenInvalid


@every_algorithm
def test_t1_a_signature_over_something_else_is_refused(alg: str) -> None:
    desk, own = Desk(forger(alg)), forger(alg)
    token = own.token()
    header, payload, _ = token.split(".")
    others = [b"", header.encode(), payload.encode(), f"{header}.".encode(), to_json(GOOD_CLAIMS)]
    others += [f"{payload}.{header}".encode(), unb64(header) + b"." + unb64(payload)]
    for other in others:
        assert desk.verdict(with_signature(token, own.sign(other))) is TokenInvalid


def test_t1_special_values_of_an_es256_signature_are_refused() -> None:
    desk, token = Desk(forger("ES256")), forger("ES256").token()
    signature = parts_of(token)[1]
    good = (int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    special = (0, 1, 2, P256_ORDER // 2, P256_ORDER - 1, P256_ORDER, P256_ORDER + 1, 2**256 - 1)
    pairs = list(itertools.product(special, special))
    pairs += [(good[0], value) for value in special] + [(value, good[1]) for value in special]
    pairs += [(good[1], good[0]), (P256_ORDER - good[0], good[1])]
    for r, s in pairs:
        assert desk.verdict(with_signature(token, r.to_bytes(32) + s.to_bytes(32))) is TokenInvalid


def test_t1_an_es256_token_is_accepted_with_the_smaller_s_only() -> None:
    desk, token = Desk(forger("ES256")), forger("ES256").token()
    signature = parts_of(token)[1]
    twin = signature[:32] + (P256_ORDER - int.from_bytes(signature[32:])).to_bytes(32)
    assert desk.verdict(with_signature(token, twin)) is TokenInvalid
    assert desk.verdict(token) is None


def test_t1_wrong_primitives_of_es256_are_refused() -> None:
    desk, own = Desk(forger("ES256")), forger("ES256")
    token = own.token()
    signed, _ = parts_of(token)
    der = own.private.sign(signed, ec.ECDSA(SHA256()))
    r, s = decode_dss_signature(own.private.sign(signed, ec.ECDSA(SHA384())))
    other_hash = r.to_bytes(32) + min(s, P256_ORDER - s).to_bytes(32)
    assert desk.verdict(with_signature(token, der)) is TokenInvalid
    assert desk.verdict(with_signature(token, other_hash)) is TokenInvalid


def test_t1_the_second_form_and_small_points_of_an_eddsa_signature_are_refused() -> None:
    desk, token = Desk(forger("EdDSA")), forger("EdDSA").token()
    signature = parts_of(token)[1]
    s = int.from_bytes(signature[32:], "little")
    shapes = [signature[:32] + (s + times * ED25519_ORDER).to_bytes(32, "little") for times in (1, 2, 8)]
    # Points of order 1, 2 and 4 (RFC 7748 section 6): a lax verifier takes them for any message.
    for point in (b"\x01" + b"\0" * 31, b"\xec" + b"\xff" * 30 + b"\x7f", b"\0" * 32):
        shapes += [point + b"\0" * 32, point + signature[32:]]
    for shape in shapes:
        assert desk.verdict(with_signature(token, shape)) is TokenInvalid


def test_t1_wrong_primitives_and_the_second_form_of_rs256_are_refused() -> None:
    desk, own = Desk(forger("RS256")), forger("RS256")
    token = own.token()
    signed, signature = parts_of(token)
    modulus = own.public.public_numbers().n
    shapes = [own.private.sign(signed, padding.PKCS1v15(), digest()) for digest in (SHA1, SHA384, SHA512)]
    shapes.append(own.private.sign(signed, padding.PSS(padding.MGF1(SHA256()), 32), SHA256()))
    shapes += [value.to_bytes(256) for value in (1, modulus - 1, modulus)]
    shapes.append((int.from_bytes(signature) + modulus).to_bytes(257))
    for shape in shapes:
        assert desk.verdict(with_signature(token, shape)) is TokenInvalid


def test_t1_wrong_primitives_of_hs256_are_refused() -> None:
    desk, own = Desk(forger("HS256")), forger("HS256")
    token = own.token()
    signed, _ = parts_of(token)
    shapes = [hmac.digest(own.private, signed, hashlib.sha512)[:size] for size in (32, 64)]
    shapes += [hmac.digest(key, signed, hashlib.sha256) for key in (b"", b"\0" * 32, own.private[:31])]
    shapes.append(hashlib.sha256(own.private + signed).digest())
    for shape in shapes:
        assert desk.verdict(with_signature(token, shape)) is TokenInvalid


@every_algorithm
def test_t1_the_json_serialisations_and_a_detached_payload_are_refused(alg: str) -> None:
    desk, token = Desk(forger(alg)), forger(alg).token()
    header, payload, signature = token.split(".")
    flattened = {"payload": payload, "protected": header, "signature": signature}
    general = {"payload": payload, "signatures": [{"protected": header, "signature": signature}]}
    forms = [json.dumps(flattened), json.dumps(general), f"{header}..{signature}", f"{header}.{payload}.", "..", "."]
    forms += [f".{payload}.{signature}", f"{header}.{payload}", header, "[]", "null", "Bearer " + token]
    for form in forms:
        assert desk.verdict(form) is TokenInvalid
    assert desk.verdict("") is TokenMissing


def other_spellings(token: str) -> Iterator[str]:
    """Yield texts that a generous reader takes for the same token."""
    segments = token.split(".")
    for position, segment in enumerate(segments):
        changed = [segment + "=" * count for count in (1, 2, 3, 4)]
        changed += [segment.replace("-", "+").replace("_", "/")] if set(segment) & set("-_") else []
        # All but one of these carry unused bits that a generous decoder drops.
        changed += [segment[:-1] + last for last in BASE64URL if last != segment[-1]]
        for junk in ("\n", "\r\n", " ", "\t", "\0", "%3D", "\ufeff", "\N{ZERO WIDTH SPACE}", "."):
            changed += [segment + junk, junk + segment, segment[:7] + junk + segment[7:]]
        changed += [segment[:5] + chr(ord(segment[5]) + 0xFEE0) + segment[6:], segment + "AA", segment + "A"]
        for text in changed:
            yield ".".join((*segments[:position], text, *segments[position + 1 :]))
    for text in (token.upper(), token.lower(), token + ".", "." + token, token + ".e30", token + "\0", "\n" + token):
        yield text
    for scheme in ("Bearer ", "bearer ", "'", '"'):
        yield scheme + token


@every_algorithm
def test_t6_a_good_token_in_any_other_spelling_is_refused(alg: str) -> None:
    desk = Desk(forger(alg))
    for number in range(5):  # Different lengths and bytes, so that each kind of padding occurs.
        token = forger(alg).token(to_json(GOOD_CLAIMS | {"jti": "n" * (number + 1)}))
        spellings = set(other_spellings(token)) - {token}
        assert len(spellings) > 200
        accepted = [spelling for spelling in spellings if desk.verdict(spelling) is None]
        assert accepted == []
        assert desk.verdict(token) is None


@every_algorithm
def test_t11_no_flipped_bit_goes_unnoticed(alg: str) -> None:
    desk, token, chance = Desk(forger(alg)), forger(alg).token(), random.Random(11)
    flipped = []
    for _ in range(250):
        text = bytearray(token.encode())
        text[chance.randrange(len(text))] ^= 1 << chance.randrange(8)
        flipped.append(text.decode("latin-1"))
        segments = [bytearray(unb64(segment)) for segment in token.split(".")]
        segment = chance.choice(segments)
        segment[chance.randrange(len(segment))] ^= 1 << chance.randrange(8)
        flipped.append(".".join(b64(bytes(each)) for each in segments))
    assert len(flipped) == 500
    assert {desk.verdict(text) for text in flipped} == {TokenInvalid}
    assert desk.verdict(token) is None
