"""Password hashes: bcrypt over a keyed digest.

bcrypt reads 72 bytes and has trouble with NUL, so it is given base64(HMAC-SHA-256(pepper, password)): 44 characters,
for passwords of any length and content. The key is not in the database in the clear, so a stolen table cannot be
guessed at. Raw or unkeyed digests would bring NULs back and invite shucking (OWASP Password Storage).

A stored hash names its scheme: `hmac-sha256+$2b$12$…`. A bare `$2b$…` was imported from another system; it verifies and
is replaced at the next login.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

import bcrypt

from authservice.domain.deadline import Deadline
from authservice.domain.errors import FieldRejected
from authservice.ports import PasswordCheck
from authservice.security.hash_pool import HashPool
from authservice.security.password_rules import normal_form

SCHEME = "hmac-sha256+"
MAX_COST = 15
"""The highest cost that is computed, about two seconds. A row that asks for more is broken or hostile."""
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[./A-Za-z0-9]")
_BCRYPT_BYTES = 72
_LOWEST_COST = 4
_DIGEST_CHARACTERS = 31


@dataclass(frozen=True, slots=True)
class BcryptPasswords:
    """Hashes and compares passwords. Lives as long as the process.

    Args:
        pepper: the key of the digest, 32 bytes.
        pool: where the work is done.
        cost: bcrypt's work factor; 12 takes about 270 ms on one core.
    """

    pepper: bytes = field(repr=False)
    pool: HashPool
    cost: int = 12
    _decoy: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_decoy", _decoy(self.cost))

    def require_room(self) -> None:
        """Raise Overloaded if a hash would be refused now."""
        self.pool.require_room()

    def hash(self, password: str, deadline: Deadline) -> str:
        """Return a new hash. Raises Overloaded, DeadlineTooShort."""
        return self.pool.run(lambda: self._hash(password), deadline)

    def check(self, password: str, stored: str | None, deadline: Deadline) -> PasswordCheck:
        """Compare. Without a readable hash the same work is done on the decoy. Raises Overloaded, DeadlineTooShort."""
        readable = stored is not None and _cost(stored) is not None
        target = stored if stored is not None and readable else self._decoy
        equal = self.pool.run(lambda: self._compared(password, target), deadline)
        return PasswordCheck(matches=equal and readable, outdated=self._is_outdated(target))

    def _hash(self, password: str) -> str:
        return SCHEME + bcrypt.hashpw(self._digest(password), bcrypt.gensalt(self.cost)).decode("ascii")

    def _compared(self, password: str, stored: str) -> bool:
        equal = self._equal(password, stored)
        if not equal:
            # An imported hash may cost less than the decoy of users that do not exist, and would tell that this one
            # does. 2^n, 2^n, 2^(n+1) ... and 2^(m-1) are 2^m together.
            for cost in range(_cost(stored) or self.cost, self.cost):
                bcrypt.hashpw(b"", bcrypt.gensalt(cost))
        return equal

    def _equal(self, password: str, stored: str) -> bool:
        if stored.startswith(SCHEME):
            return bcrypt.checkpw(self._digest(password), stored.removeprefix(SCHEME).encode("ascii"))
        # As the system that made the hash did: bytes as received, the first 72.
        return bcrypt.checkpw(password.encode()[:_BCRYPT_BYTES], stored.encode("ascii"))

    def _digest(self, password: str) -> bytes:
        return base64.b64encode(hmac.digest(self.pepper, normal_form(password).encode(), hashlib.sha256))

    def _is_outdated(self, stored: str) -> bool:
        return not stored.startswith(SCHEME) or _cost(stored) != self.cost


def _decoy(cost: int) -> str:
    """Return what users that do not exist have for a hash.

    It has the right form, since one of a wrong form would be refused early and tell, and it is nobody's. Comparing with
    it takes as long as the cost says; making it does not.
    """
    digest = bcrypt.hashpw(secrets.token_hex(16).encode(), bcrypt.gensalt(_LOWEST_COST))[-_DIGEST_CHARACTERS:]
    return SCHEME + (bcrypt.gensalt(cost) + digest).decode("ascii")


def imported_hash(text: str) -> str:
    """Return the hash of another system as it is stored: a whole bcrypt text. Raises FieldRejected."""
    text = text.strip()
    if not text:
        raise FieldRejected("is required")
    if not _BCRYPT.fullmatch(text):
        raise FieldRejected("is no bcrypt hash: 60 characters that begin with $2a$, $2b$ or $2y$")
    if _cost(text) is None:
        raise FieldRejected(f"has a cost beyond {_LOWEST_COST} to {MAX_COST}")
    return text


def _cost(stored: str) -> int | None:
    """Return the cost of a stored hash, or None if it cannot be computed."""
    match = _BCRYPT.fullmatch(stored.removeprefix(SCHEME))
    cost = int(match[1]) if match else 0
    return cost if _LOWEST_COST <= cost <= MAX_COST else None
