"""Trying whether the database takes what is written: one that answers may be full, or open for reading only."""

import secrets
from dataclasses import dataclass

from authservice.domain.deadline import Deadline
from authservice.ports import AuthStores, Clock, Database, last_counts

SUBJECT_BYTES = 32


@dataclass(frozen=True, slots=True)
class TryWriting:
    """Writes something that nobody else sees, and takes it away again."""

    database: Database[AuthStores]
    clock: Clock

    def __call__(self, deadline: Deadline) -> None:
        """Raise what a call that writes would meet: StorageUnavailable, Conflict, DeadlineTooShort."""
        # Of nobody, and over already, so that the clean-up would take it if this came to no end.
        subject, now = secrets.token_bytes(SUBJECT_BYTES), self.clock()

        def write(tx: AuthStores) -> None:
            tx.attempts.count(subject, now, now)
            tx.attempts.clear(subject)

        self.database.transact(write, deadline, settle=last_counts)
