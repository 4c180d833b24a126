"""What was read of tokens that come again and again, for the most part without keeping their texts."""

from collections.abc import Callable
from hashlib import sha256
from typing import Generic, TypeVar

T = TypeVar("T")

RECENT = 1024
"""Tokens of which the text is kept too, 0.7 MB of it: their digest would cost 2 µs at each call."""


class Remembered(Generic[T]):
    """Reads each token once, as long as it is among the last that were seen.

    For many threads, without a lock: where two meet, a token is read once more, or some are forgotten early.

    Tokens are found by their digest: a text of 600 letters takes more memory than what is known of it. Two halves take
    turns: when one is full, the older is dropped. So the last `most / 2` tokens are remembered, and never more than
    `most`.

    Args:
        read: what is remembered of a token. What it raises is not remembered.
        most: how many tokens, at least 2.
    """

    def __init__(self, read: Callable[[str], T], most: int) -> None:
        self._read = read
        self._half = most // 2
        self._recent: dict[str, T] = {}
        self._young: dict[bytes, T] = {}
        self._old: dict[bytes, T] = {}
        self.reads = 0
        """How many tokens had to be read, nearly."""

    def __call__(self, token: str) -> T:
        """Return what is known of a token. Raises what reading it does."""
        found = self._recent.get(token)
        if found is None:
            found = self._find(token)
            if len(self._recent) >= min(RECENT, self._half):
                self._recent = {}
            self._recent[token] = found
        return found

    def _find(self, token: str) -> T:
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        found = self._young.get(digest)
        if found is not None:
            return found
        found = self._old.get(digest)
        if found is None:
            self.reads += 1
            found = self._read(token)
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[digest] = found
        return found
