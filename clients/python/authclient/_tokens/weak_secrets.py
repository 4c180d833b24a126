"""Secrets that somebody who has a token could find, and could then sign with.

An HMAC is tried without asking anybody, as fast as graphics cards go, beginning with the lists of what was published.
"""

import hashlib
import re
from importlib.resources import files

_DIGEST_BYTES = 6
"""Of 2^48 digests the list has some 2^14: one good secret in 2^34 would be refused for another's sake."""
_EXAMPLE = re.compile(
    r"(?:access|and|at|auth|bits?|bytes?|change|characters|chars?|complex|default|demo|dev|development|do|env"
    r"|example|fallback|for|generate|goes|here|hs256|in|is|jsonwebtoken|jwt|key|least|local|long|me|minimum|must|my|not"
    r"|please|private|prod|production|random|refresh|replace|sample|secret|secure|server|session|should|sign|signing|some"
    r"|string|strong|super|test|testing|text|the|this|to|token|top|use|used|value|very|with|your|a|32|64|256|512|123)+"
)
"""What the placeholders of examples consist of: `your-super-secret-jwt-key-change-this-in-production`."""


def known_weakness_of(secret: str | bytes) -> str | None:
    """Return what is wrong with a secret of 32 bytes or more, in words that follow its name; None if nothing is.

    What is only easy to guess is not among it: that takes dictionaries, which the authentication service has.
    """
    text = secret if isinstance(secret, str) else secret.decode("utf-8", "backslashreplace")
    if len(set(secret)) == 1 or len(set(text)) == 1:
        return "is one character, repeated"
    if _EXAMPLE.fullmatch(re.sub(r"[\W_]+", "", text.casefold())):
        return "is the placeholder of an example"
    if f"\n{digest_of(text)}\n" in _known():
        return "is on the public lists of known secrets"
    return None


def digest_of(secret: str) -> str:
    """Return what known_secrets.txt holds of a secret: no more than is needed to recognise it."""
    return hashlib.sha256(secret.strip().encode()).digest()[:_DIGEST_BYTES].hex()


def _known() -> str:
    # Read anew and searched as it is: it is asked for once a start, and a set of it would take a megabyte for good.
    return files("authclient._tokens").joinpath("known_secrets.txt").read_text("ascii")
