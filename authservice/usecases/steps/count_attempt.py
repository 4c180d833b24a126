"""Counting an attempt to prove who one is, before it is known whether it succeeds."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from authservice.domain.deadline import Deadline
from authservice.domain.user import User
from authservice.ports import (
    AuthStores,
    Clock,
    Database,
    Fingerprints,
    last_counts,
)

ATTEMPTS_KEPT = timedelta(days=1)
"""How long the count of failed attempts outlives the last of them."""


@dataclass(frozen=True, slots=True)
class CountAttempt:
    """Counts attempts by account, and those on accounts that do not exist by what was typed."""

    database: Database[AuthStores]
    fingerprints: Fingerprints
    clock: Clock

    def __call__(self, user: User | None, identifier: str, deadline: Deadline) -> bytes:
        """Count, and return what it was counted under. Raises DeadlineTooShort, StorageUnavailable, Conflict."""
        subject = subject_of(user.id, self.fingerprints) if user else self.fingerprints.of("unknown_user", identifier)
        now = self.clock()
        # A transaction of its own, which begins with the count: after a read, the counts of parallel attempts on one
        # account would be conflicts.
        self.database.transact(
            lambda tx: tx.attempts.count(subject, now, now + ATTEMPTS_KEPT), deadline, settle=last_counts
        )
        return subject


def subject_of(user_id: UUID, fingerprints: Fingerprints) -> bytes:
    """Return what the attempts on an account are counted under, however the user spelled its name."""
    return fingerprints.of("user", str(user_id))
