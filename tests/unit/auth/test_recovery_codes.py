"""M8: recovery codes are random, many, and kept as something nobody can guess at without the key."""

from uuid import UUID

import pytest

from authservice.security.fingerprints import KeyedFingerprints
from authservice.security.recovery_codes import ALPHABET, COUNT, LENGTH, KeyedRecoveryCodes

USER = UUID(int=1)
CODES = KeyedRecoveryCodes(KeyedFingerprints(b"fingerprints-canary"))


def test_m8_there_are_ten_of_fifty_bits_and_no_two_alike() -> None:
    assert (COUNT, len(ALPHABET) ** LENGTH) == (10, 2**50)
    made = [code for _ in range(1000) for code in CODES.generate()]
    assert len(set(made)) == len(made) == 10_000
    assert {letter for code in made for letter in code} == {*ALPHABET, "-"}, "every letter is used"
    assert {(len(code), code[5]) for code in made} == {(11, "-")}


@pytest.mark.parametrize(
    "spelling", ["7K3MQ-X0VID", "7k3mq x0v1d", " 7k3mqxov1d", "７k3mq-x0v1d", "7-k-3-m-q-x-0-v-l-d"]
)
def test_m8_a_code_is_the_same_however_a_person_types_it(spelling: str) -> None:
    assert CODES.hash_of(spelling, USER) == CODES.hash_of("7k3mq-x0v1d", USER)


@pytest.mark.parametrize("other", ["", "7k3mq-x0v1", "7k3mq-x0v1d0", "7k3mq-x0v1e"])
def test_m8_another_code_another_user_and_another_key_have_other_hashes(other: str) -> None:
    kept = CODES.hash_of("7k3mq-x0v1d", USER)
    assert CODES.hash_of(other, USER) != kept
    assert CODES.hash_of("7k3mq-x0v1d", UUID(int=2)) != kept
    assert KeyedRecoveryCodes(KeyedFingerprints(b"other")).hash_of("7k3mq-x0v1d", USER) != kept
    assert len(kept) == 32
