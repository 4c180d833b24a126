"""Admitting what a network may ask for only so often: new accounts, for one."""

from dataclasses import dataclass

from authservice.domain.deadline import Deadline
from authservice.domain.errors import Throttled
from authservice.domain.throttle import Bucket, Steady
from authservice.ports import AuthStores, Clock, Database, Fingerprints, last_counts


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
        wait = self.database.transact(lambda tx: tx.attempts.admit([bucket], now), deadline, settle=last_counts)
        if wait:
            raise Throttled(wait.total_seconds())
