"""What was read of tokens is remembered, and takes little memory."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from authclient._tokens import remembered
from authclient._tokens.remembered import Remembered

MOST = 100


class Reader:
    """Reads tokens, and counts how often it has read which."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, token: str) -> list[str]:
        self.seen.append(token)
        if token.startswith("bad"):
            raise ValueError(token)
        return [token]


@pytest.fixture(params=[MOST, 5], ids=["all recent", "most by digest"])
def recent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "RECENT", request.param)


@pytest.mark.usefixtures("recent")
def test_a_token_is_read_once_and_what_was_read_comes_again() -> None:
    reader = Reader()
    tokens = Remembered(reader, MOST)
    texts = [f"token-{number}" for number in range(MOST // 2)]
    first = [tokens(text) for text in texts]
    assert [tokens(text) for text in texts] == first
    assert all(again is before for again, before in zip(map(tokens, texts), first, strict=True))
    assert reader.seen == texts
    assert tokens.reads == len(texts)


@pytest.mark.usefixtures("recent")
def test_what_reading_raises_is_not_remembered() -> None:
    reader = Reader()
    tokens = Remembered(reader, MOST)
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            tokens("bad")
    assert reader.seen == ["bad", "bad"]


@pytest.mark.usefixtures("recent")
def test_the_last_half_is_remembered_and_no_more_than_all() -> None:
    reader = Reader()
    tokens = Remembered(reader, MOST)
    texts = [f"token-{number}" for number in range(10 * MOST)]
    for text in texts:
        tokens(text)
    del reader.seen[:]
    for text in reversed(texts[-MOST // 2 :]):
        tokens(text)
    assert reader.seen == []
    assert len(tokens._young) + len(tokens._old) <= MOST
    tokens(texts[0])
    assert reader.seen == texts[:1]


@pytest.mark.usefixtures("recent")
def test_a_token_that_is_used_stays_while_others_pass() -> None:
    reader = Reader()
    tokens = Remembered(reader, MOST)
    for number in range(10 * MOST):
        tokens("mine")
        tokens(f"other-{number}")
    assert reader.seen.count("mine") == 1


def test_a_token_that_is_no_text_of_unicode_is_read_as_any() -> None:
    tokens = Remembered(Reader(), MOST)
    assert tokens("\ud800") == ["\ud800"]


def test_many_threads_get_what_was_read_of_their_own_tokens() -> None:
    tokens = Remembered(Reader(), 20)

    def ask(worker: int) -> bool:
        texts = [f"token-{(worker * 7 + step) % 60}" for step in range(3000)]
        return all(tokens(text) == [text] for text in texts)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))
