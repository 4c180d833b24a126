"""How many guesses a password would cost, and what would help, as zxcvbn estimates it."""

import math
import threading
from dataclasses import dataclass
from typing import Any

from zxcvbn import zxcvbn
from zxcvbn.matching import L33T_TABLE

_JUDGED = 72
"""How much of a long password is judged. The cost of judging grows with the square of the length."""
_MOST_READINGS = 8
"""In how many ways a password may be read with look-alikes (`@` as `a`). zxcvbn tries them all, up to 576: seconds.
With 8, the worst costs about half of the hash that follows it."""
_judging = threading.Lock()
"""zxcvbn keeps the words of the current judgement in a dictionary that all threads share."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a password is worth.

    Args:
        guesses: how many it would cost, as a number of any size.
        is_common: whether the whole of it stands in the list of common passwords.
        advice: what would make it better, in sentences; empty where it is good enough.
    """

    guesses: float
    is_common: bool
    advice: tuple[str, ...]

    @property
    def bits(self) -> float:
        """The logarithm of the guesses."""
        return math.log2(max(self.guesses, 1.0))


def guesses(password: str, words: list[str]) -> float:
    """Return the number of guesses. `words` are known to whoever guesses."""
    return estimate(password, words).guesses


def estimate(password: str, words: list[str]) -> Estimate:
    """Return the estimate. `words` are known to whoever guesses."""
    if not password:  # Which zxcvbn cannot take.
        return Estimate(1.0, is_common=False, advice=())
    with _judging:
        judged = zxcvbn(_without_excess(password)[:_JUDGED], user_inputs=words)
    feedback = judged["feedback"]
    return Estimate(
        guesses=float(judged["guesses"]),
        is_common=_is_one_of_the_common(judged["sequence"]),
        advice=tuple(filter(None, (feedback["warning"], *feedback["suggestions"]))),
    )


def _is_one_of_the_common(sequence: list[dict[str, Any]]) -> bool:
    return len(sequence) == 1 and sequence[0].get("dictionary_name") == "passwords"


def _without_excess(password: str) -> str:
    """Return the password without those kinds of look-alikes that would exceed the number of readings."""
    kept: set[str] = set()
    dropped: set[str] = set()
    for kind in dict.fromkeys(password):
        (kept if _readings(kept | {kind}) <= _MOST_READINGS else dropped).add(kind)
    return "".join(character for character in password if character not in dropped)


def _readings(characters: set[str]) -> int:
    return math.prod(len(characters.intersection(look_alikes)) or 1 for look_alikes in L33T_TABLE.values())
