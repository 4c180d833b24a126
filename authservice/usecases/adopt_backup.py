"""Making a database that was restored from a backup fit to be served."""

from dataclasses import dataclass

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.ports import Audit, AuthStores, Database, last_counts
from authservice.usecases.trust.rotate_keys import RotateKeys

STEP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class AdoptBackup:
    """Ends what a backup brings back to life: the sessions that were logged out after it, and every token.

    One-time tokens go as well, and the mail that had not been sent: most of it has been since.

    For a database that no server runs on. Sessions go without rules for those who watch: one rule for each would be
    millions, and what a session signed until now falls with the keys.
    """

    database: Database[AuthStores]
    rotate_keys: RotateKeys
    audit: Audit
    batch: int = 500

    def __call__(self, *, managed_keys: bool) -> tuple[int, int]:
        """Return how many sessions and how many keys went. What was interrupted goes on when it is called again.

        Raises StorageUnavailable, Conflict.

        Args:
            managed_keys: whether the keys in the database sign; otherwise they are left alone.
        """
        sessions = 0
        while forgotten := self._forget():
            sessions += forgotten
        while self._forget_mail():
            pass
        keys = self.rotate_keys.all(Deadline.after(STEP_SECONDS)) if managed_keys else []
        for key in keys:
            self.rotate_keys.revoke(key.kid, Deadline.after(STEP_SECONDS))
        self.audit.record(events.BackupAdopted(sessions=sessions, keys=len(keys)))
        return sessions, len(keys)

    def _forget(self) -> int:
        return self.database.transact(
            lambda tx: tx.sessions.forget(self.batch), Deadline.after(STEP_SECONDS), settle=last_counts
        )

    def _forget_mail(self) -> int:
        return self.database.transact(
            lambda tx: tx.one_time_tokens.forget(self.batch) + tx.outbox.forget(self.batch),
            Deadline.after(STEP_SECONDS),
            settle=last_counts,
        )
