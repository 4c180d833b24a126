"""What a new password may be: long enough, and not guessable.

No composition rules and no expiry (NIST SP 800-63B-4 section 3.1.1.2). At the lengths asked for, lists of common
passwords have almost no entries left, so guessability is judged by pattern: zxcvbn finds words, names, repetitions,
sequences, keyboard walks and dates, in any combination, and estimates the guesses they cost.
"""

import re
import unicodedata
from dataclasses import dataclass

from authservice.domain.errors import FieldRejected
from authservice.domain.fields import bounded_text

MAX_CODE_POINTS = 1024
_SAFE_GUESSES = 10**10
"""zxcvbn's highest class, "very unguessable". One below, any three words or walks in a row would already do."""
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
    """

    min_code_points: int = 15

    def read(self, password: str, context: list[str]) -> str:
        """Return the password as received. `context` holds words that do not count. Raises FieldRejected."""
        bounded_text(password, least=self.min_code_points, most=MAX_CODE_POINTS)
        normal = normal_form(password)
        bounded_text(normal, least=self.min_code_points, most=MAX_CODE_POINTS * 18)
        normal_context = [normal_form(text) for text in context]
        words = [word for text in normal_context for word in [text, *re.split(r"[\W_]+", text)] if word]
        # Here, because its dictionaries take 12 MiB and a tenth of a second, and most workers never register anybody.
        from authservice.security.guesses import guesses  # noqa: PLC0415

        if guesses(normal, words + _KNOWN_PHRASES) < _SAFE_GUESSES:
            raise FieldRejected(
                "is too easy to guess: common words, names, repetitions, sequences and your own user name or address "
                "add little. Use several unrelated words"
            )
        return password
