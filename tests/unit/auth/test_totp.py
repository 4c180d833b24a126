"""M1, M2: codes are those of RFC 4226 and RFC 6238, and count in their own step and the next one."""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID
from xml.etree import ElementTree

import pytest

from authservice.security.sealing import CannotOpen, Sealer
from authservice.security.totp import SealedTotpCodes, hotp

USER, OTHER_USER = UUID(int=1), UUID(int=2)
SECRET = b"12345678901234567890"
CODES = SealedTotpCodes(Sealer((b"master-key-canary-of-32-bytes-00",)), "Example GmbH: internal")
SEALED = CODES.sealer.seal(SECRET, f"totp {USER}")
STEP = 50_000_000
BEGIN = datetime.fromtimestamp(STEP * 30, UTC)
MILLISECOND = timedelta(milliseconds=1)

RFC_4226 = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
"""Appendix D, by the counter."""
RFC_6238 = {
    59: ("94287082", "46119246", "90693936"),
    1111111109: ("07081804", "68084774", "25091201"),
    1111111111: ("14050471", "67062674", "99943326"),
    1234567890: ("89005924", "91819424", "93441116"),
    2000000000: ("69279037", "90698825", "38618901"),
    20000000000: ("65353130", "77737706", "47863826"),
}
"""Appendix B: seconds since the epoch, and the codes with SHA-1, SHA-256 and SHA-512."""
DIGESTS: tuple[tuple[Callable[..., Any], int], ...] = ((hashlib.sha1, 20), (hashlib.sha256, 32), (hashlib.sha512, 64))


@pytest.mark.parametrize(("counter", "code"), list(enumerate(RFC_4226)))
def test_m1_codes_are_those_of_rfc_4226(counter: int, code: str) -> None:
    assert hotp(SECRET, counter) == code


@pytest.mark.parametrize("seconds", RFC_6238)
@pytest.mark.parametrize("at", range(3), ids=["sha1", "sha256", "sha512"])
def test_m1_codes_are_those_of_rfc_6238(seconds: int, at: int) -> None:
    digest, length = DIGESTS[at]
    secret = (SECRET * 4)[:length]
    assert hotp(secret, seconds // 30, digits=8, digest=digest) == RFC_6238[seconds][at]


def step_of(code: str, now: datetime) -> int | None:
    return CODES.step_of(code, SEALED, USER, now)


@pytest.mark.parametrize("moment", [BEGIN, BEGIN + MILLISECOND, BEGIN + timedelta(seconds=30) - MILLISECOND])
def test_m2_of_all_steps_around_only_the_current_and_the_one_before_count(moment: datetime) -> None:
    found = {step - STEP: step_of(hotp(SECRET, step), moment) for step in range(STEP - 5, STEP + 6)}
    assert {distance for distance, step in found.items() if step is not None} == {-1, 0}
    assert (found[-1], found[0]) == (STEP - 1, STEP)


def test_m2_a_code_lives_from_the_beginning_of_its_step_to_the_end_of_the_next() -> None:
    code = hotp(SECRET, STEP)
    assert step_of(code, BEGIN - MILLISECOND) is None
    assert step_of(code, BEGIN) == STEP
    assert step_of(code, BEGIN + timedelta(seconds=60) - MILLISECOND) == STEP
    assert step_of(code, BEGIN + timedelta(seconds=60)) is None


@pytest.mark.parametrize("spelling", ["{}", " {} ", "{:.3} {rest}", "{wide}", "{wide:.3}\u3000{wide_rest}", "\t{}\n"])
def test_m3_a_code_in_full_width_or_with_blanks_is_the_same_code(spelling: str) -> None:
    code = hotp(SECRET, STEP)
    wide = "".join(chr(ord(digit) - ord("0") + ord("０")) for digit in code)
    assert step_of(spelling.format(code, rest=code[3:], wide=wide, wide_rest=wide[3:]), BEGIN) == STEP


@pytest.mark.parametrize(
    "text", ["", "0", "x" * 6, "{}0", "0{}", "-{}", "{:.5}", "+{:.5}", "{}.0", "{}\0", "٠١٢٣٤٥", "é"]
)
def test_m2_what_is_not_the_code_is_not_taken_for_it(text: str) -> None:
    assert step_of(text.format(hotp(SECRET, STEP)), BEGIN) is None


def test_m9_a_secret_opens_for_its_own_user_only() -> None:
    with pytest.raises(CannotOpen):
        CODES.step_of(hotp(SECRET, STEP), SEALED, OTHER_USER, BEGIN)
    with pytest.raises(CannotOpen):
        CODES.enrollment(SEALED, OTHER_USER, "ada")


def test_m9_a_secret_is_random_long_and_sealed() -> None:
    sealed = [CODES.new_secret(USER) for _ in range(100)]
    secrets = {CODES.sealer.open(each, f"totp {USER}") for each in sealed}
    assert len(secrets) == 100
    assert {len(secret) for secret in secrets} == {20}
    assert not any(secret in each for secret in secrets for each in sealed)


def test_an_app_is_told_everything_it_needs_in_a_uri_and_in_pictures_of_it() -> None:
    shown = CODES.enrollment(SEALED, USER, "ada: lovelace/1")
    uri = urlsplit(shown.uri)
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    issuer, _, account = uri.path.removeprefix("/").partition(":")
    assert (unquote(issuer), unquote(account)) == ("Example GmbH: internal", "ada: lovelace/1")
    assert parse_qs(uri.query) == {"secret": [shown.secret], "issuer": ["Example GmbH: internal"]}
    assert base64.b32decode(shown.secret) == SECRET
    assert shown.qr_png.startswith(b"\x89PNG\r\n\x1a\n")
    assert ElementTree.fromstring(shown.qr_svg).tag == "{http://www.w3.org/2000/svg}svg"
    other = CODES.enrollment(CODES.new_secret(USER), USER, "ada: lovelace/1")
    assert (other.qr_png, other.qr_svg) != (shown.qr_png, shown.qr_svg)
    assert shown.secret not in repr(shown)
