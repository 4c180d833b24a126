"""Counting the codes that are tried, before it is known whether they are right."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from authservice.domain.caller import Caller
from authservice.domain.challenge import CHALLENGE_LIFE, Challenge, Purpose
from authservice.domain.deadline import Deadline
from authservice.domain.errors import TooManyCodes
from authservice.ports import AuthStores, Clock, Database, Fingerprints, last_counts
from authservice.usecases.steps.count_attempt import ATTEMPTS_KEPT

_NO_TOKEN = b""


@dataclass(frozen=True, slots=True)
class CountCode:
    """Counts codes by account, apart from passwords, and bounds those of one session.

    What bounds them is a challenge of the session's own, under its id and without a token.
    """

    database: Database[AuthStores]
    fingerprints: Fingerprints
    clock: Clock

    def __call__(self, caller: Caller, deadline: Deadline) -> None:
        """Count a code that a session sends. Raises TooManyCodes, DeadlineTooShort, StorageUnavailable, Conflict."""
        now = self.clock()
        own = Challenge(
            caller.session_id,
            caller.user_id,
            Purpose.STEP_UP,
            _NO_TOKEN,
            0,
            now + CHALLENGE_LIFE,
            session_id=caller.session_id,
        )

        def count(tx: AuthStores) -> bool:
            tx.challenges.add(own, now)
            is_counted = tx.challenges.count_try(own.id, _NO_TOKEN, now) is not None
            if is_counted:
                self.count_attempt(tx, caller.user_id, now)
            return is_counted

        if not self.database.transact(count, deadline, settle=last_counts):
            raise TooManyCodes(CHALLENGE_LIFE.total_seconds())

    def count_attempt(self, tx: AuthStores, user_id: UUID, now: datetime) -> None:
        """Count a code that is tried on an account."""
        tx.attempts.count(self._subject(user_id), now, now + ATTEMPTS_KEPT)

    def forget(self, tx: AuthStores, user_id: UUID, session_id: UUID | None = None) -> None:
        """Forget what was counted on an account, and of a session, whose code was right."""
        if session_id:
            tx.challenges.spend(session_id)
        tx.attempts.clear(self._subject(user_id))

    def _subject(self, user_id: UUID) -> bytes:
        return self.fingerprints.of("second_factor", str(user_id))
