"""What a new password may be: long enough, and not guessable.

No composition rules and no expiry (NIST SP 800-63B-4 section 3.1.1.2). At the lengths asked for, lists of common
passwords have almost no entries left, so guessability is judged by pattern: zxcvbn finds words, names, repetitions,
sequences, keyboard walks and dates, in any combination, and estimates the guesses they cost.
"""

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from authservice.domain.errors import FieldRejected
from authservice.domain.fields import bounded_text
from authservice.domain.strength import Strength

if TYPE_CHECKING:
    from authservice.security.guesses import Estimate

MAX_CODE_POINTS = 1024
_SAFE_GUESSES = 10**10
"""zxcvbn's highest class, "very unguessable". One below, any three words or walks in a row would already do."""
_TOO_SIMILAR = 0.7
"""How much of a password may be that of a name or an address, letter for letter in order; as Django has it."""
_LEAST_COMPARED, _MOST_COMPARED = 4, 256
"""How long a name has to be for being compared, and how much of a password is."""
_ANOTHER_WORD = "Add another word or two. Uncommon words are better."
_KNOWN_PHRASES = [
    "authservice",
    "correcthorsebatterystaple",
    "correct horse battery staple",
    "thequickbrownfox",
    "the quick brown fox jumps over the lazy dog",
    "to be or not to be",
    "tobeornottobe",
    "qwertyuiopasdfghjklzxcvbnm",
    "!qaz@wsx#edc$rfv",
    "1qaz2wsx3edc4rfv",
    "let me in please",
    "open sesame",
]


def normal_form(password: str) -> str:
    """Return the form in which a password is hashed.

    Unicode NFKC (NIST SP 800-63B-4 section 3.1.1.2), otherwise as received.
    """
    return unicodedata.normalize("NFKC", password)


@dataclass(frozen=True, slots=True)
class GuessabilityRules:
    """Reads new passwords.

    Args:
        min_code_points: 15 where the password stands alone; 8 at least (NIST SP 800-63B-4 section 3.1.1.1).
        max_code_points: 64 at least (the same); more than 1,024 is no password that anybody types.
    """

    min_code_points: int = 15
    max_code_points: int = MAX_CODE_POINTS

    def read(self, password: str, context: list[str]) -> str:
        """Return the password as received. `context` holds words that do not count. Raises FieldRejected."""
        problem, _ = _judged(self._of_a_good_length(password), context)
        if problem:
            raise problem
        return password

    def estimate(self, password: str, context: list[str]) -> Strength:
        """Return what the password is worth, also of one that would be refused."""
        problem, found = _judged(normal_form(password[: self.max_code_points]), context)
        try:
            self._of_a_good_length(password)
        except FieldRejected as rejected:
            problem = rejected
        if problem is None:
            return Strength(found.bits, "", "", ())
        return Strength(found.bits, problem.reason, str(problem), found.advice or (_ANOTHER_WORD,))

    def _of_a_good_length(self, password: str) -> str:
        """Return the normal form of a password. Raises FieldRejected."""
        bounded_text(password, least=self.min_code_points, most=self.max_code_points)
        return bounded_text(normal_form(password), least=self.min_code_points, most=self.max_code_points * 18)


def _judged(normal: str, context: list[str]) -> tuple[FieldRejected | None, "Estimate"]:
    """Return what makes a password easy to guess, if anything does, and what it is worth."""
    # Here, because its dictionaries take 12 MiB and a tenth of a second, and most workers never register anybody.
    from authservice.security.guesses import estimate  # noqa: PLC0415

    names = [normal_form(text) for text in context]
    words = [word for text in names for word in [text, *re.split(r"[\W_]+", text)] if word]
    found = estimate(normal, words + _KNOWN_PHRASES)
    problem = None
    if found.is_common:
        problem = _easy("it is one of the most common passwords", "COMMON")
    elif _resembles(normal, names) or found.guesses < _SAFE_GUESSES <= estimate(normal, _KNOWN_PHRASES).guesses:
        problem = _easy("it is like your user name or e-mail address", "LIKE_NAME")
    elif found.guesses < _SAFE_GUESSES:
        problem = _easy(
            "common words, names, repetitions, sequences and your own user name or address add little", "GUESSABLE"
        )
    return problem, found


def _easy(why: str, reason: str) -> FieldRejected:
    return FieldRejected(f"is too easy to guess: {why}. Use several unrelated words", reason)


def _resembles(password: str, names: list[str]) -> bool:
    """Tell whether a password is much like a name or an address, or a part of one, as a misspelt one is."""
    folded = password.casefold()[:_MOST_COMPARED]
    parts = {part for name in names for part in (name.casefold(), name.casefold().partition("@")[0])}
    return any(_are_similar(folded, part) for part in parts if len(part) >= _LEAST_COMPARED)


def _are_similar(one: str, other: str) -> bool:
    matcher = SequenceMatcher(a=one, b=other, autojunk=False)
    # The first two are upper bounds of the third, and cost little.
    return all(ratio() >= _TOO_SIMILAR for ratio in (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio))
