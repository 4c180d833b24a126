"""A shared secret that somebody with a token could find is told from one that nobody can."""

import base64
import secrets
import uuid

import pytest

from authservice.config.weak_secrets import weakness_of
from tests.known_secrets.__main__ import LEAST_BYTES, documented

LISTED = [
    "00fe092a5217b7f9031d8db132e0fdaa",
    "w4*mtn&nquc57h@$-05gva+2ucq0$tnczy#!d=t4%1&pl!p=jo",
    "6LccmgsTAAAAANyATh7UT3uL2G2iVnCCGfAXPE5f",
]
"""Of the list that is named in known_secrets.txt. zxcvbn would take each."""


@pytest.mark.parametrize("secret", ["a" * 32, " " * 32, "0" * 64, "é" * 16, "\t" * 100])
def test_one_character_is_no_secret_however_often_it_stands_there(secret: str) -> None:
    assert weakness_of(secret) == "is one character, repeated"


@pytest.mark.parametrize("secret", [*LISTED, f"{LISTED[1]}\n", f" {LISTED[2]}", *documented()])
def test_a_published_secret_is_known(secret: str) -> None:
    assert weakness_of(secret) == "is on the public lists of known secrets"


def test_the_examples_of_documentation_are_long_enough_to_need_a_list() -> None:
    assert len(documented()) > 15
    assert [secret for secret in documented() if len(secret.encode()) < LEAST_BYTES] == []


@pytest.mark.parametrize(
    "secret",
    [
        "your-super-secret-jwt-key-change-this-in-production",
        "your_jwt_secret_key_change_me_in_production",
        "YOUR_JWT_SECRET_AT_LEAST_32_CHARACTERS_LONG",
        "change-me-change-me-change-me-change-me",
        "replace this with a long random string",
        "your-256-bit-secret-your-256-bit-secret",
        "supersecretkeysupersecretkeysupersecretkey",
    ],
)
def test_the_placeholder_of_an_example_is_no_secret(secret: str) -> None:
    assert weakness_of(secret) == "is the placeholder of an example"


@pytest.mark.parametrize(
    "secret",
    ["ab" * 16, "abc" * 11, "abcdefghijklmnopqrstuvwxyz0123456789", "password" * 4, "12345678901234567890123456789012"],
)
def test_what_zxcvbn_guesses_is_no_secret(secret: str) -> None:
    assert weakness_of(secret) is not None


def test_whatever_a_generator_makes_is_taken() -> None:
    for _ in range(20):
        made = (secrets.token_hex(16), base64.b64encode(secrets.token_bytes(24)).decode(), secrets.token_urlsafe(48))
        for secret in (*made, str(uuid.uuid4())):
            assert weakness_of(secret) is None
    assert weakness_of("a secret for tests that is long enough") is None
