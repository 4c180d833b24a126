"""Sessions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, select, update

from authservice.domain.session import Session, SessionEnd
from authservice.domain.tokens import RefreshToken
from authservice.domain.user import User
from authservice.storage.tables import sessions, users
from authservice.storage.upsert import insert_unless_there
from authservice.storage.users import to_user

_SESSION = [column for column in sessions.c if column.name != "end_reason"]


class SqlSessions:
    """See ports.Sessions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, session: Session) -> None:
        """Keep a new session."""
        insert_unless_there(
            self._connection, sessions, **{column.name: getattr(session, column.name) for column in _SESSION}
        )

    def get(self, session_id: UUID) -> tuple[Session, User] | None:
        """Return a session and its user."""
        query = select(sessions, users).join(users, users.c.id == sessions.c.user_id).where(sessions.c.id == session_id)
        row = self._connection.execute(query).one_or_none()
        return (_to_session(row), to_user(row)) if row else None

    def rotate(self, token: RefreshToken, successor: RefreshToken, now: datetime, idle_end: datetime) -> bool:
        """Spend `token`: the row count of one conditional update decides who wins."""
        changed = self._connection.execute(
            update(sessions)
            .where(sessions.c.id == token.session_id, sessions.c.refresh_hash == token.hash, _live(now))
            .values(
                refresh_hash=successor.hash,
                spent_hash=token.hash,
                generation=successor.generation,
                rotated_at=now,
                idle_end=case((sessions.c.absolute_end < idle_end, sessions.c.absolute_end), else_=idle_end),
            )
        )
        return changed.rowcount == 1

    def end(self, session_id: UUID, reason: SessionEnd, now: datetime) -> int:
        """End one session."""
        return self._end(sessions.c.id == session_id, reason, now)

    def end_all(self, user_id: UUID, reason: SessionEnd, now: datetime, keep: UUID | None = None) -> int:
        """End every session of a user, except `keep`."""
        condition = sessions.c.user_id == user_id
        return self._end(condition if keep is None else condition & (sessions.c.id != keep), reason, now)

    def count_live(self, user_id: UUID, now: datetime) -> int:
        """Return how many sessions of a user are live."""
        query = select(func.count()).select_from(sessions).where(sessions.c.user_id == user_id, _live(now))
        return self._connection.execute(query).scalar_one()

    def _end(self, condition: ColumnElement[bool], reason: SessionEnd, now: datetime) -> int:
        ended = self._connection.execute(
            update(sessions).where(condition, _live(now)).values(ended_at=now, end_reason=reason.value)
        )
        return ended.rowcount


def _live(now: datetime) -> ColumnElement[bool]:
    # The idle end never lies after the absolute end, so it alone decides.
    return and_(sessions.c.ended_at.is_(None), sessions.c.idle_end > now)


def _to_session(row: Row[Any]) -> Session:
    return Session(**{column.name: row._mapping[column] for column in _SESSION})
