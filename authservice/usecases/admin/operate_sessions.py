"""What operators do with sessions: list somebody's, end one, somebody's, or everybody's."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.session import Session, SessionEnd
from authservice.ports import Audit, AuthStores, Clock, Database, NameRules, first_change_counts
from authservice.usecases.admin.operate_users import held_user_named, user_named

FIRST_ID = UUID(int=0)
STEP_SECONDS = 30.0


class NoSuchSession(Exception):
    """No session has this id. For operators only: callers of the service never learn this."""


@dataclass(frozen=True, slots=True)
class OperateSessions:
    """Looks after sessions, on behalf of whoever may run the command line."""

    database: Database[AuthStores]
    names: NameRules
    clock: Clock
    audit: Audit
    batch: int = 500

    def of(self, user_name: str, deadline: Deadline) -> list[Session]:
        """Return the live sessions of a user, those that were used last first. Raises NoSuchUser, FieldRejected."""
        name, now = self.names.read(user_name), self.clock()
        return self.database.read(lambda tx: tx.sessions.live_of(user_named(tx, name).id, now), deadline)

    def end_one(self, session_id: UUID, deadline: Deadline) -> bool:
        """End a session. Tells whether it was live. Raises NoSuchSession."""
        now = self.clock()
        ended = self.database.transact(
            lambda tx: self._end_one(tx, session_id, now), deadline, settle=first_change_counts
        )
        self.audit.record(events.SessionsEndedByOperator(session_id=session_id, ended=ended))
        return bool(ended)

    def end_all_of(self, user_name: str, deadline: Deadline) -> int:
        """End every session of a user. Returns how many were live. Raises NoSuchUser, FieldRejected."""
        now = self.clock()
        user_id, ended = self.database.transact(
            lambda tx: self._end_all_of(tx, user_name, now),
            deadline,
            settle=lambda earlier, last: earlier if earlier[1] else last,
        )
        self.audit.record(events.SessionsEndedByOperator(user_id=user_id, ended=ended))
        return ended

    def end_everybodys(self) -> Iterator[int]:
        """End every session there is, a batch at a time; yield how many were live so far.

        What was interrupted goes on when it is called again. Raises StorageUnavailable, Conflict.
        """
        ended, after, now = 0, FIRST_ID, self.clock()
        while ids := self._page(after, now):
            ended += len(self._end_each(ids, now))
            after = ids[-1]
            yield ended
        self.audit.record(events.SessionsEndedByOperator(ended=ended))

    def _page(self, after: UUID, now: datetime) -> list[UUID]:
        return self.database.read(lambda tx: tx.sessions.live_ids(after, self.batch, now), Deadline.after(STEP_SECONDS))

    def _end_each(self, ids: list[UUID], now: datetime) -> set[UUID]:
        return self.database.transact(
            lambda tx: tx.sessions.end_each(set(ids), SessionEnd.BY_OPERATOR, now),
            Deadline.after(STEP_SECONDS),
            settle=lambda earlier, last: earlier | last,
        )

    def _end_one(self, tx: AuthStores, session_id: UUID, now: datetime) -> int:
        if tx.sessions.get(session_id) is None:
            raise NoSuchSession(session_id)
        return tx.sessions.end(session_id, SessionEnd.BY_OPERATOR, now)

    def _end_all_of(self, tx: AuthStores, user_name: str, now: datetime) -> tuple[UUID, int]:
        user_id = held_user_named(tx, self.names.read(user_name)).id
        return user_id, tx.sessions.end_all(user_id, SessionEnd.BY_OPERATOR, now)
