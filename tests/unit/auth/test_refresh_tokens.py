"""Refresh tokens have one spelling, one successor and one maker."""

import base64
import hashlib
import random
import string
from collections.abc import Iterator
from uuid import UUID

import pytest

from authservice.domain.errors import TokenInvalid
from authservice.domain.session import Session
from authservice.domain.tokens import SessionTokens
from authservice.security.refresh_tokens import SealedRefreshTokens
from tests.unit.forgery import NOW, b64, unb64

KEY = b"refresh-key-canary-of-32-bytes-0"
SESSION = UUID("0191d5a5-0000-7000-8000-000000000002")
ours = SealedRefreshTokens(KEY)


def is_refused(text: str, tokens: SealedRefreshTokens = ours) -> bool:
    try:
        tokens.read(text)
    except TokenInvalid:
        return True
    return False


def other_spellings(text: str) -> Iterator[str]:
    body = text.removeprefix("rt1.")
    yield from (body, text + "=", text + "==", text + "A", text + "AA", text + "AAAA", "A" + text, text + "." + body)
    yield from (
        "rt1." + body[:-1] + last for last in string.ascii_letters + string.digits + "-_+/=" if last != body[-1]
    )
    yield from (
        "rt2." + body,
        "RT1." + body,
        "rt1" + body,
        "rt1.." + body[:-1],
        "rt1=" + body,
        "rt1." + body[1:] + body[0],
    )
    for junk in ("\n", " ", "\t", "\0", "\r\n", "\ufeff", "\N{ZERO WIDTH SPACE}", "%00", "é"):
        yield from (text + junk, junk + text, text[:20] + junk + text[20:], text[: -len(junk)] + junk)
    yield "rt1." + body[:7] + chr(ord(body[7]) + 0xFEE0) + body[8:]
    yield from (text.upper(), text.lower(), text.swapcase(), f"Bearer {text}", text * 2, "")


def test_a_token_is_read_by_its_maker_and_names_its_session() -> None:
    token = ours.first(SESSION)
    read = ours.read(token.text)
    assert read == token
    assert (read.session_id, read.generation) == (SESSION, 0)
    assert len(token.text) <= 128, "what the contract promises"


def test_no_two_first_tokens_are_alike() -> None:
    assert len({ours.first(SESSION).text for _ in range(1000)}) == 1000


@pytest.mark.parametrize("number", range(5))
def test_s10_any_other_spelling_of_a_token_is_refused(number: int) -> None:
    text = ours.first(UUID(int=number)).text
    spellings = set(other_spellings(text)) - {text}
    assert len(spellings) > 100
    assert [spelling for spelling in spellings if not is_refused(spelling)] == []
    assert not is_refused(text)


def test_s10_standard_base64_in_place_of_base64url_is_refused() -> None:
    texts = (ours.first(SESSION).text for _ in range(1000))
    text = next(text for text in texts if set("-_") <= set(text))
    assert is_refused(text.replace("-", "+"))
    assert is_refused(text.replace("_", "/"))


def test_s10_prefixes_and_suffixes_of_every_length_are_refused() -> None:
    text = ours.first(SESSION).text
    body = text.removeprefix("rt1.")
    for length in range(len(text)):
        assert is_refused(text[:length])
        assert is_refused(text[len(text) - length :])
        assert is_refused("rt1." + body[length + 1 :])
        assert is_refused(text[:length] + text[length + 1 :])
        assert is_refused(text[:length] + "A" * (len(text) - length)) or text.endswith("A" * (len(text) - length))


def test_s10_no_flipped_bit_goes_unnoticed() -> None:
    raw = unb64(ours.first(SESSION).text.removeprefix("rt1."))
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        assert is_refused("rt1." + b64(bytes(flipped)))
    assert not is_refused("rt1." + b64(raw))


def test_s10_parts_of_two_good_tokens_make_no_third() -> None:
    one, other = (unb64(ours.first(UUID(digit * 32)).text.removeprefix("rt1.")) for digit in "12")
    for cut in (4, 16, 20, 36, 52, 60):
        assert is_refused("rt1." + b64(one[:cut] + other[cut:]))


def test_s10_random_texts_are_refused() -> None:
    chance = random.Random(10)
    for _ in range(500):
        assert is_refused("rt1." + b64(chance.randbytes(68)))
        assert is_refused("".join(chr(chance.randrange(0x300)) for _ in range(95)))


def test_the_successor_is_the_same_however_often_and_wherever_it_is_computed() -> None:
    first = ours.first(SESSION)
    successors = {
        ours.successor(first),
        ours.successor(ours.read(first.text)),
        SealedRefreshTokens(KEY).successor(first),
    }
    assert len(successors) == 1
    successor = successors.pop()
    assert (successor.session_id, successor.generation) == (SESSION, 1)
    assert ours.read(successor.text) == successor


def test_a_chain_of_successors_never_comes_back_to_an_earlier_one() -> None:
    token, seen = ours.first(SESSION), set()
    for generation in range(1000):
        assert token.generation == generation
        seen.add(token.hash)
        token = ours.successor(token)
    assert len(seen) == 1000


def test_the_successor_cannot_be_computed_without_the_key() -> None:
    first = ours.first(SESSION)
    others = {SealedRefreshTokens(bytes([number]) * 32).successor(first).text for number in range(10)}
    assert len(others) == 10
    assert ours.successor(first).text not in others
    assert all(is_refused(text) for text in others)


def test_a_token_of_another_installation_is_refused_and_ours_there() -> None:
    theirs = SealedRefreshTokens(b"k" * 32)
    assert is_refused(theirs.first(SESSION).text)
    assert is_refused(ours.first(SESSION).text, theirs)
    assert not is_refused(theirs.first(SESSION).text, theirs)


def test_c5_what_a_session_stores_is_a_hash_that_reveals_nothing() -> None:
    token = ours.first(SESSION)
    raw = unb64(token.text.removeprefix("rt1."))
    assert token.hash == hashlib.sha256(raw).digest()
    assert raw[20:52] not in token.hash
    # The hash in the place of the secret makes no token, so a stolen table lets nobody in.
    assert is_refused("rt1." + b64(raw[:20] + token.hash + raw[52:]))
    assert is_refused("rt1." + base64.urlsafe_b64encode(token.hash).decode())


def test_l1_tokens_and_keys_do_not_show_when_printed() -> None:
    token = ours.first(SESSION)
    tokens = SessionTokens(SESSION, SESSION, "access-canary", NOW, token.text, NOW, NOW)
    session = Session(SESSION, SESSION, "", NOW, NOW, NOW, token.hash, spent_hash=token.hash)
    shown = " ".join(map(repr, (ours, token, tokens, session))) + f"{ours} {token} {tokens} {session}"
    for secret in ("canary", token.text, token.text[10:40], repr(token.hash), repr(KEY)):
        assert secret not in shown
