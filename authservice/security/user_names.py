"""User names: PRECIS decides when two are the same, UTS 39 which look-alikes are refused.

The canonical form is RFC 8265 UsernameCaseMapped: width-mapped, lower-cased, NFC, with the bidi rule. `@` is kept for
e-mail addresses, so that no name can be taken for one.
"""

import unicodedata
from dataclasses import dataclass

from confusable_homoglyphs.categories import unique_aliases
from precis_i18n import get_profile

from authservice.domain.errors import FieldRejected
from authservice.domain.fields import bounded_bytes, bounded_text
from authservice.domain.user import UserName

MAX_CODE_POINTS = 64
MAX_BYTES = 128

# UTS 39 section 5.2, "highly restrictive": one script, or Latin with one of these.
_SCRIPT_MIXES = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
)
# PRECIS allows these where a script needs them; nobody sees whether they are there.
_JOINERS = frozenset("\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
_ANY_SCRIPT = frozenset({"COMMON", "INHERITED"})
_PROFILE = get_profile("UsernameCaseMapped")


@dataclass(frozen=True, slots=True)
class PrecisNames:
    """Reads user names."""

    def read(self, typed: str) -> UserName:
        """Return the name with its canonical form. Raises FieldRejected."""
        bounded_text(typed, least=1, most=MAX_CODE_POINTS)
        bounded_bytes(typed, most=MAX_BYTES)
        if not _JOINERS.isdisjoint(typed):
            raise FieldRejected("must not contain invisible characters")
        try:
            canonical = _PROFILE.enforce(typed)
        except UnicodeEncodeError as error:
            raise FieldRejected(f"contains characters that names may not have ({_rule(error)})") from None
        if "@" in canonical:
            raise FieldRejected("must not contain @, which marks e-mail addresses")
        if not any(unicodedata.category(character)[0] in "LN" for character in canonical):
            raise FieldRejected("must contain a letter or a digit")
        if _mixes_scripts(canonical):
            raise FieldRejected("mixes scripts, which allows names that look alike")
        return UserName(typed, canonical)


def _rule(error: UnicodeEncodeError) -> str:
    # "DISALLOWED/controls": the profile's own name for the broken rule, which holds nothing of the input.
    return error.reason.rpartition("/")[2]


def _mixes_scripts(name: str) -> bool:
    scripts = frozenset(unique_aliases(name)) - _ANY_SCRIPT
    return len(scripts) > 1 and not any(scripts <= mix for mix in _SCRIPT_MIXES)
