"""Recovery codes: look-up secrets for users whose authenticator app is lost (NIST SP 800-63B section 3.1.2).

Ten characters of Crockford's Base32, which leaves out letters that look like digits. That is 50 bits, more than the 20
that ASVS 6.5.2 asks for and fewer than the 112 from which a plain hash would do: what is kept is a keyed hash, under a
key that is not in the database in the clear.
"""

import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from authservice.ports import Fingerprints

COUNT = 10
LENGTH = 10
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LOOK_ALIKES = str.maketrans({"o": "0", "i": "1", "l": "1"})


@dataclass(frozen=True, slots=True)
class KeyedRecoveryCodes:
    """See ports.RecoveryCodes. Lives as long as the process."""

    fingerprints: Fingerprints

    def generate(self) -> Sequence[str]:
        """Return ten codes, `7k3mq-x0v9d` one of them."""
        return [_in_halves("".join(secrets.choice(ALPHABET) for _ in range(LENGTH))) for _ in range(COUNT)]

    def hash_of(self, code: str, user_id: UUID) -> bytes:
        """Return what is kept of a user's code. Another user's is another, so rows cannot be moved."""
        return self.fingerprints.of("recovery_code", f"{user_id}\0{normal_form(code)}")


def normal_form(code: str) -> str:
    """Return a code as it is compared: in any case, with or without its hyphen, full-width, with letters for digits."""
    folded = unicodedata.normalize("NFKC", code).casefold().translate(_LOOK_ALIKES)
    return "".join(folded.replace("-", "").split())


def _in_halves(code: str) -> str:
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"
