"""The whole policy for new passwords: they must not be guessable, nor known from a breach of somebody else's.

Breached passwords are looked up by the SHA-1 of their text, since this is what those who collect them publish (Have I
Been Pwned). It protects nothing here, and never leaves the process but for its first 20 bits.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from authservice.domain.deadline import Deadline
from authservice.domain.errors import FieldRejected, PasswordCheckUnavailable
from authservice.domain.strength import Strength
from authservice.security.hash_pool import HashPool
from authservice.security.password_rules import GuessabilityRules, normal_form

BREACHED = "was published in a breach of some other service, so whoever guesses tries it. Choose another one"


class LookUpFailed(Exception):
    """A source cannot say whether it knows a password. The text says why, without any part of the password."""


class Breaches(Protocol):
    """A source of breached passwords."""

    @property
    def is_local(self) -> bool:
        """Whether asking costs nobody else anything."""

    def has(self, sha1: bytes) -> bool:
        """Tell whether the password with this digest of 20 bytes is known. Raises LookUpFailed."""


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """Reads new passwords: guessability first, then each source of breached ones. Lives as long as the process.

    Args:
        must_answer: whether a password is refused while a source does not answer. It is taken otherwise.
        on_failure: hears of each look-up that failed.
    """

    rules: GuessabilityRules
    sources: tuple[Breaches, ...]
    must_answer: bool
    on_failure: Callable[[LookUpFailed], None]

    def read(self, password: str, context: list[str]) -> str:
        """Return the password as received. Raises FieldRejected, PasswordCheckUnavailable."""
        self.rules.read(password, context)
        if any(self._is_known(source, password) for source in self.sources):
            raise FieldRejected(BREACHED, "BREACHED")
        return password

    def estimate(self, password: str, context: list[str]) -> Strength:
        """Return what the password is worth. Sources that are not local are not asked."""
        strength = self.rules.estimate(password, context)
        local = (source for source in self.sources if source.is_local)
        if strength.is_acceptable and any(self._is_known(source, password) for source in local):
            return Strength(0.0, "BREACHED", BREACHED, ())
        return strength

    def _is_known(self, source: Breaches, password: str) -> bool:
        # In the form in which it is verified, and as it was typed: the published ones were hashed as they were typed.
        digests = {hashlib.sha1(text.encode()).digest() for text in (password, normal_form(password))}  # noqa: S324
        try:
            return any(source.has(digest) for digest in digests)
        except LookUpFailed as error:
            self.on_failure(error)
            if self.must_answer:
                raise PasswordCheckUnavailable from error
            return False


@dataclass(frozen=True, slots=True)
class PooledStrength:
    """Estimates where hashes are computed: anyone may ask, and that must cost logins no more than other logins do."""

    policy: PasswordPolicy
    pool: HashPool

    def estimate(self, password: str, context: list[str], deadline: Deadline) -> Strength:
        """Return the estimate. Raises Overloaded, DeadlineTooShort, PasswordCheckUnavailable."""
        return self.pool.run(lambda: self.policy.estimate(password, context), deadline)
