"""Tokens of passkey ceremonies."""

from datetime import UTC, datetime, timedelta

import pytest
from uuid6 import uuid7

from authservice.domain.errors import ChallengeOver
from authservice.security.ceremony_tokens import KeyedCeremonyTokens
from authservice.security.fingerprints import KeyedFingerprints

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
END = NOW + timedelta(minutes=5)
TOKENS = KeyedCeremonyTokens(KeyedFingerprints(b"k" * 32))


def test_a_token_tells_id_and_end_until_it_is_over() -> None:
    ceremony_id = uuid7()
    text = TOKENS.new("login", "", ceremony_id, END)
    assert len(text) <= 128
    assert TOKENS.read(text, "login", "", END - timedelta(milliseconds=1)) == (ceremony_id, END)
    with pytest.raises(ChallengeOver):
        TOKENS.read(text, "login", "", END)


@pytest.mark.parametrize(("purpose", "subject"), [("registration", "ada"), ("login", "eve"), ("login", "")])
def test_m5_a_token_is_good_for_its_purpose_and_subject_only(purpose: str, subject: str) -> None:
    with pytest.raises(ChallengeOver):
        TOKENS.read(TOKENS.new("login", "ada", uuid7(), END), purpose, subject, NOW)


def test_m5_a_token_of_another_service_is_none() -> None:
    others = KeyedCeremonyTokens(KeyedFingerprints(b"o" * 32))
    with pytest.raises(ChallengeOver):
        TOKENS.read(others.new("login", "", uuid7(), END), "login", "", NOW)


def test_m5_a_token_with_any_character_changed_is_none() -> None:
    text = TOKENS.new("login", "", uuid7(), END)
    for at in range(len(text)):
        changed = text[:at] + ("B" if text[at] != "B" else "C") + text[at + 1 :]
        with pytest.raises(ChallengeOver):
            TOKENS.read(changed, "login", "", NOW)
    for changed in ("", "pk1.", text + "A", text[:-1], f" {text[1:]}", "pk1." + "\u00e4" * 75):
        with pytest.raises(ChallengeOver):
            TOKENS.read(changed, "login", "", NOW)
