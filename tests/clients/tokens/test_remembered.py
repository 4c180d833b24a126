"""What was read of tokens is remembered, and takes little memory."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from authclient._tokens import remembered
from authclient._tokens.grammar import MAX_TOKEN_BYTES
from authclient._tokens.remembered import Remembered

LEAST = 50


class Reader:
    """Reads tokens, and counts how often it has read which."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, token: str) -> list[str]:
        self.seen.append(token)
        if token.startswith("bad"):
            raise ValueError(token)
        return [token]


def remembering(reader: Reader, least: int = LEAST) -> Remembered[list[str], tuple[str, list[str]]]:
    """Return what shows a token beside what was read of it."""
    return Remembered(reader, lambda token, known: (token, known), least)


@pytest.fixture(params=[2 * LEAST, 5], ids=["all recent", "most by digest"])
def recent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "RECENT", request.param)


@pytest.mark.usefixtures("recent")
def test_a_token_is_read_once_and_what_was_read_comes_again() -> None:
    reader = Reader()
    tokens = remembering(reader)
    texts = [f"token-{number}" for number in range(LEAST)]
    first = [tokens(text) for text in texts]
    assert [tokens(text) for text in texts] == first
    assert all(again[1] is before[1] for again, before in zip(map(tokens, texts), first, strict=True))
    assert reader.seen == texts
    assert tokens.reads == len(texts)


@pytest.mark.usefixtures("recent")
def test_what_reading_raises_is_not_remembered() -> None:
    reader = Reader()
    tokens = remembering(reader)
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            tokens("bad")
    assert reader.seen == ["bad", "bad"]


@pytest.mark.usefixtures("recent")
def test_the_last_are_remembered_and_few_more() -> None:
    reader = Reader()
    tokens = remembering(reader)
    texts = [f"token-{number}" for number in range(20 * LEAST)]
    for text in texts:
        tokens(text)
    del reader.seen[:]
    for text in texts[-LEAST:]:
        tokens(text)
    assert reader.seen == []
    assert sum(map(len, tokens._sets)) <= 4 * (LEAST // 3 + 1)
    tokens(texts[0])
    assert reader.seen == texts[:1]


@pytest.mark.usefixtures("recent")
def test_a_token_that_is_used_stays_while_others_pass() -> None:
    reader = Reader()
    tokens = remembering(reader)
    for number in range(20 * LEAST):
        tokens("mine")
        tokens(f"other-{number}")
    assert reader.seen.count("mine") == 1


def test_a_token_that_is_no_text_of_unicode_is_read_as_any() -> None:
    tokens = remembering(Reader())
    assert tokens("\ud800") == ("\ud800", ["\ud800"])


def test_many_threads_get_what_was_read_of_their_own_tokens() -> None:
    tokens = remembering(Reader(), 10)

    def ask(worker: int) -> bool:
        texts = [f"token-{(worker * 7 + step) % 60}" for step in range(3000)]
        return all(tokens(text) == (text, [text]) for text in texts)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))


def test_a_token_that_is_too_long_to_be_good_is_read_and_not_remembered() -> None:
    reader = Reader()
    tokens = remembering(reader)
    for _ in range(2):
        tokens("x" * (MAX_TOKEN_BYTES + 1))
    assert len(reader.seen) == 2
    assert not tokens._recent
