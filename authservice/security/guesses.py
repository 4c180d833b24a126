"""How many guesses a password would cost, as zxcvbn estimates it."""

import math
import threading

from zxcvbn import zxcvbn
from zxcvbn.matching import L33T_TABLE

_JUDGED = 72
"""How much of a long password is judged. The cost of judging grows with the square of the length."""
_MOST_READINGS = 16
"""In how many ways a password may be read with look-alikes (`@` as `a`). zxcvbn tries them all, up to 576: seconds."""
_judging = threading.Lock()
"""zxcvbn keeps the words of the current judgement in a dictionary that all threads share."""


def guesses(password: str, words: list[str]) -> float:
    """Return the estimate. `words` are known to whoever guesses."""
    with _judging:
        return float(zxcvbn(_without_excess(password)[:_JUDGED], user_inputs=words)["guesses"])


def _without_excess(password: str) -> str:
    """Return the password without those kinds of look-alikes that would exceed the number of readings."""
    kept: set[str] = set()
    dropped: set[str] = set()
    for kind in dict.fromkeys(password):
        (kept if _readings(kept | {kind}) <= _MOST_READINGS else dropped).add(kind)
    return "".join(character for character in password if character not in dropped)


def _readings(characters: set[str]) -> int:
    return math.prod(len(characters.intersection(look_alikes)) or 1 for look_alikes in L33T_TABLE.values())
