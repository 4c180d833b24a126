"""Deleting what has expired. Nothing depends on it: every expiry is checked where it is used."""

import time
from dataclasses import dataclass
from datetime import timedelta

from authservice.domain.deadline import Deadline
from authservice.ports import (
    Clock,
    Database,
    UpkeepStores,
    last_counts,
)

KEPT_AFTER_END = timedelta(days=1)
"""How long the row of an ended session stays, so that its last tokens are refused as ended and not as unknown."""


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Deletes in small batches, so that no other caller waits behind a large lock."""

    database: Database[UpkeepStores]
    clock: Clock
    batch: int = 500

    def __call__(self, seconds: float) -> int:
        """Delete for at most about `seconds`. Returns how many rows went."""
        deadline = Deadline.after(seconds + 5.0)
        give_up = time.monotonic() + seconds
        total = 0
        while True:
            # What an unconfirmed run has deleted is not counted; how many went is for the curious.
            deleted = self.database.transact(self._purge, deadline, settle=last_counts)
            total += deleted
            if deleted == 0 or time.monotonic() >= give_up:
                return total

    def _purge(self, tx: UpkeepStores) -> int:
        return tx.expired.purge(self.clock() - KEPT_AFTER_END, self.batch)
