"""What was read of tokens that come again and again, for the most part without keeping their texts."""

from collections.abc import Callable
from hashlib import sha256
from typing import Generic, TypeVar

from authclient._tokens.grammar import MAX_TOKEN_BYTES

Known = TypeVar("Known")
Shown = TypeVar("Shown")

RECENT = 1024
"""Tokens that are kept together with their texts, 0.7 MB of those: a digest costs 2 µs at each call."""
_SETS = 9


class Remembered(Generic[Known, Shown]):
    """Reads each token once, as long as it is among the last that were seen.

    For many threads, without a lock: where two meet, a token is read once more, or some are forgotten early.

    Tokens are found by their digest: a text of 600 letters takes more memory than what is known of it. There are nine
    sets: when the youngest is full, the oldest is dropped.

    Args:
        read: what is remembered of a token. What it raises is not remembered.
        show: makes of a token and what is known of it what callers get.
        least: a token is remembered until others were seen so often; an eighth more are kept at most.
    """

    def __init__(self, read: Callable[[str], Known], show: Callable[[str, Known], Shown], least: int) -> None:
        self._read = read
        self._show = show
        self._size = -(-least // (_SETS - 1))
        self._recent: dict[str, Shown] = {}
        self._sets: tuple[dict[bytes, Known], ...] = tuple({} for _ in range(_SETS))
        self.reads = 0
        """How many tokens had to be read, nearly."""

    def __call__(self, token: str) -> Shown:
        """Return what is to be shown of a token. Raises what reading it does."""
        found = self._recent.get(token)
        if found is None:
            if len(token) > MAX_TOKEN_BYTES:  # None of those is good, and their digest would cost the more.
                return self._show(token, self._read(token))
            found = self._show(token, self._find(token))
            if len(self._recent) >= min(RECENT, self._size):
                self._recent = {}
            self._recent[token] = found
        return found

    def _find(self, token: str) -> Known:
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        young, *older = self._sets
        found = young.get(digest)
        if found is not None:
            return found
        for each in older:
            if (found := each.get(digest)) is not None:
                break
        else:
            self.reads += 1
            found = self._read(token)
        if len(young) >= self._size:
            young = {}
            self._sets = (young, *self._sets[:-1])
        young[digest] = found
        return found
