"""Admitting what a network may ask for only so often: new accounts, for one."""

from dataclasses import dataclass

from authservice.domain.deadline import Deadline
from authservice.domain.throttle import Bucket, Steady
from authservice.ports import AuthStores, Clock, Database, Fingerprints, last_counts
from authservice.usecases.steps.admit_attempt import admit


@dataclass(frozen=True, slots=True)
class AdmitRequest:
    """Counts requests of one kind by the network that they come from.

    Args:
        limit: None where any number is admitted.
    """

    database: Database[AuthStores]
    fingerprints: Fingerprints
    kind: str
    limit: Steady | None
    clock: Clock

    def __call__(self, network: str, deadline: Deadline) -> None:
        """Count one. Raises Throttled, DeadlineTooShort, StorageUnavailable, Conflict."""
        if self.limit is None:
            return
        now, bucket = self.clock(), Bucket(self.fingerprints.of(self.kind, network), self.limit)
        self.database.transact(lambda tx: admit(tx, [bucket], now), deadline, settle=last_counts)
