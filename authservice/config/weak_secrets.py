"""Secrets that somebody who has a token could find, and could then sign with.

An HMAC is tried without asking anybody, as fast as graphics cards go, beginning with the lists of what was published.
"""

import hashlib
import re
from importlib.resources import files

_SAFE_GUESSES = 2.0**60
"""Takes more than three years at 10^10 guesses a second."""
_DIGEST_BYTES = 6
"""Of 2^48 digests the list has some 2^14: one good secret in 2^34 would be refused for another's sake."""
_EXAMPLE = re.compile(
    r"(?:access|and|at|auth|bits?|bytes?|change|characters|chars?|complex|default|demo|dev|development|do|env"
    r"|example|fallback|for|generate|goes|here|hs256|in|is|jsonwebtoken|jwt|key|least|local|long|me|minimum|must|my|not"
    r"|please|private|prod|production|random|refresh|replace|sample|secret|secure|server|session|should|sign|signing|some"
    r"|string|strong|super|test|testing|text|the|this|to|token|top|use|used|value|very|with|your|a|32|64|256|512|123)+"
)
"""What the placeholders of examples consist of: `your-super-secret-jwt-key-change-this-in-production`."""


def weakness_of(secret: str) -> str | None:
    """Return what is wrong with a secret of 32 bytes or more, in words that follow its name; None if nothing is."""
    if len(set(secret)) == 1:
        return "is one character, repeated"
    if _EXAMPLE.fullmatch(re.sub(r"[\W_]+", "", secret.casefold())):
        return "is the placeholder of an example"
    if f"\n{digest_of(secret)}\n" in _known():
        return "is on the public lists of known secrets"
    # Here, because its dictionaries take 12 MiB and a tenth of a second.
    from authservice.security.guesses import guesses  # noqa: PLC0415

    return "is too easy to guess" if guesses(secret, []) < _SAFE_GUESSES else None


def digest_of(secret: str) -> str:
    """Return what known_secrets.txt holds of a secret: no more than is needed to recognise it."""
    return hashlib.sha256(secret.strip().encode()).digest()[:_DIGEST_BYTES].hex()


def _known() -> str:
    # Read anew and searched as it is: it is asked for once a start, and a set of it would take a megabyte for good.
    return files("authservice.config").joinpath("known_secrets.txt").read_text("ascii")
