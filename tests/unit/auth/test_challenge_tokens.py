"""M5, T7: the token of a challenge is one text, of this service, for one challenge."""

import pytest
from uuid6 import uuid7

from authservice.domain.errors import ChallengeOver
from authservice.security.challenge_tokens import OpaqueChallengeTokens

TOKENS = OpaqueChallengeTokens()


def test_m5_a_token_tells_its_challenge_and_no_two_have_one_secret() -> None:
    challenge_id = uuid7()
    made = [TOKENS.new(challenge_id) for _ in range(100)]
    assert len({text for text, _ in made}) == len({secret_hash for _, secret_hash in made}) == 100
    assert [TOKENS.read(text) for text, _ in made] == [(challenge_id, secret_hash) for _, secret_hash in made]
    assert {len(secret_hash) for _, secret_hash in made} == {32}
    assert max(len(text) for text, _ in made) <= 128


@pytest.mark.parametrize(
    "change",
    ["{}=", " {}", "{}\n", "{:.67}", "rt1.{rest}", "CH1.{rest}", "ch1.{rest:.60}+///", "ch1.{rest:.63}é", "", "ch1."],
)
def test_m5_t7_a_token_has_one_spelling(change: str) -> None:
    text, _ = TOKENS.new(uuid7())
    with pytest.raises(ChallengeOver):
        TOKENS.read(change.format(text, rest=text.removeprefix("ch1.")))
