"""Erasing accounts whose time of grace is over.

Nothing is left of one but pseudonyms: the id in audit events and in rules about revoked tokens, and a keyed hash of its
name, so that nobody gets that name again. Rows go in small batches; what was interrupted goes on with the next call.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.mail import Purpose
from authservice.domain.session import SessionEnd
from authservice.ports import Audit, AuthStores, Clock, Database, Fingerprints
from authservice.usecases.steps.one_time_tokens import slot_of
from authservice.usecases.steps.person import person_of, retired_name

STEP_SECONDS = 10.0
ACCOUNTS = 100
"""How many are looked up at once."""


class _Step(Enum):
    """What has become of an account in one transaction."""

    MORE = "there are more rows"
    ERASED = "this was the last of it"
    NOT_DUE = "somebody else has erased it, or it stays"


@dataclass(frozen=True, slots=True)
class EraseAccounts:
    """Erases.

    Args:
        wipe: has the database overwrite what was deleted, where that is in its power.
        batch: how many rows one transaction deletes at most.
    """

    database: Database[AuthStores]
    fingerprints: Fingerprints
    wipe: Callable[[], None]
    clock: Clock
    audit: Audit
    batch: int = 500

    def __call__(self, seconds: float) -> int:
        """Erase what is due, for at most about `seconds`. Returns how many accounts went.

        Raises StorageUnavailable, Conflict.
        """
        give_up, erased = time.monotonic() + seconds, 0
        while due := self._due():
            for user_id in due:
                erased += self.erase(user_id)
                if time.monotonic() >= give_up:
                    break
            else:
                continue
            break
        self.wipe()  # Also what was deleted before a crash.
        return erased

    def erase(self, user_id: UUID) -> bool:
        """Erase one account if it is due. Tells whether this has done it. Raises StorageUnavailable, Conflict."""
        step = _Step.MORE
        while step is _Step.MORE:
            now = self.clock()
            step = self.database.transact(
                lambda tx, now=now: self._step(tx, user_id, now),  # type: ignore[misc]
                Deadline.after(STEP_SECONDS),
                settle=lambda earlier, last: earlier if earlier is _Step.ERASED else last,
            )
        if step is _Step.ERASED:
            self.audit.record(events.AccountErased(user_id=user_id))
        return step is _Step.ERASED

    def _due(self) -> list[UUID]:
        now = self.clock()
        return self.database.read(lambda tx: tx.users.due_for_erasure(now, ACCOUNTS), Deadline.after(STEP_SECONDS))

    def _step(self, tx: AuthStores, user_id: UUID, now: datetime) -> _Step:
        user = tx.users.lock(user_id)
        if user is None or not user.is_due(now):
            return _Step.NOT_DUE
        # Before their rows go, since the rules by which services refuse their tokens are made of these.
        tx.sessions.end_all(user_id, SessionEnd.ACCOUNT_DELETED, now)
        if tx.personal_data.erase(person_of(user, self.fingerprints), self.batch) >= self.batch:
            return _Step.MORE
        if user.email:  # An invitation that nobody has accepted is nobody's.
            tx.one_time_tokens.empty(slot_of(Purpose.INVITE, user.email, self.fingerprints))
        tx.users.retire_name(retired_name(user.name.canonical, self.fingerprints), now)
        tx.users.remove(user_id)
        return _Step.ERASED
