"""Sessions."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, insert, literal, select, update

from authservice.domain.session import PASSWORD_ALONE, Session, SessionEnd
from authservice.domain.tokens import RefreshToken
from authservice.domain.user import User
from authservice.storage.auth import endings, rotations
from authservice.storage.auth.users import ROLES, to_user
from authservice.storage.tables.auth import sessions, users
from authservice.storage.tables.trust import revocations
from authservice.storage.upsert import insert_unless_there

_TOKEN_END = func.coalesce(sessions.c.token_end, sessions.c.absolute_end, type_=sessions.c.token_end.type)
_SAME = [column.name for column in sessions.c if column is not sessions.c.idle_seconds]
"""What the row and the session have under one name."""


class SqlSessions:
    """See ports.Sessions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.has_revoked = False
        """Whether a rule about revoked tokens was appended."""

    def add(self, session: Session) -> None:
        """Keep a new session."""
        insert_unless_there(self._connection, sessions, **to_row(session))

    def get(self, session_id: UUID) -> tuple[Session, User] | None:
        """Return a session and its user."""
        query = (
            select(sessions, users, ROLES)
            .join(users, users.c.id == sessions.c.user_id)
            .where(sessions.c.id == session_id)
        )
        row = self._connection.execute(query).one_or_none()
        return (_to_session(row), to_user(row)) if row else None

    def hold_each(self, session_ids: set[UUID]) -> dict[UUID, tuple[Session, User]]:
        """Return sessions with their users, the sessions locked until the transaction ends."""
        return rotations.hold_each(self._connection, session_ids)

    def rotate_each(self, tokens: Sequence[tuple[RefreshToken, Session]], now: datetime) -> int:
        """Spend tokens: one conditional update, whose row count says how many."""
        return rotations.rotate_each(self._connection, tokens, now)

    def step_up(self, session: Session) -> bool:
        """Keep when and how a user was proved last."""
        changed = self._connection.execute(
            update(sessions)
            .where(sessions.c.id == session.id, sessions.c.ended_at.is_(None))
            .values(
                authenticated_at=session.authenticated_at,
                auth_methods=session.auth_methods,
                token_end=session.token_end,
            )
        )
        return changed.rowcount == 1

    def end(self, session_id: UUID, reason: SessionEnd, now: datetime) -> int:
        """End one session."""
        return len(self.end_each({session_id}, reason, now))

    def end_each(self, session_ids: set[UUID], reason: SessionEnd, now: datetime) -> set[UUID]:
        """End several sessions, whosever they are. See endings.end_each."""
        ended = endings.end_each(self._connection, session_ids, reason, now)
        self.has_revoked = self.has_revoked or bool(ended)
        return ended

    def end_all(self, user_id: UUID, reason: SessionEnd, now: datetime, keep: UUID | None = None) -> int:
        """End every session of a user, except `keep`."""
        condition = sessions.c.user_id == user_id
        return len(self._end(condition if keep is None else condition & (sessions.c.id != keep), reason, now))

    def live_of(self, user_id: UUID, now: datetime) -> list[Session]:
        """Return the live sessions of a user, those that were used last first."""
        used_at = func.coalesce(sessions.c.rotated_at, sessions.c.opened_at, sessions.c.authenticated_at)
        query = select(sessions).where(sessions.c.user_id == user_id, _live(now))
        return [_to_session(row) for row in self._connection.execute(query.order_by(used_at.desc(), sessions.c.id))]

    def live_ids(self, after: UUID, limit: int, now: datetime) -> list[UUID]:
        """Return up to `limit` ids of live sessions, those after `after`."""
        query = select(sessions.c.id).where(sessions.c.id > after, _live(now)).order_by(sessions.c.id).limit(limit)
        return list(self._connection.execute(query).scalars())

    def count_live(self, user_id: UUID, now: datetime) -> int:
        """Return how many sessions of a user are live."""
        query = select(func.count()).select_from(sessions).where(sessions.c.user_id == user_id, _live(now))
        return self._connection.execute(query).scalar_one()

    def forget(self, limit: int) -> int:
        """Delete up to `limit` sessions, live or not, and append no rule."""
        # The ids first: see expired.py.
        ids = self._connection.execute(select(sessions.c.id).order_by(sessions.c.id).limit(limit)).scalars().all()
        return self._connection.execute(delete(sessions).where(sessions.c.id.in_(ids))).rowcount if ids else 0

    def outdate_tokens(self, user_id: UUID, generation: int) -> None:
        """Revoke the tokens of a user that are of an earlier generation, whatever the time: see endings.end_each."""
        self._revoke(
            select(sessions.c.user_id, literal(generation), func.max(_TOKEN_END))
            .where(sessions.c.user_id == user_id)
            .group_by(sessions.c.user_id)
        )

    def _end(self, condition: ColumnElement[bool], reason: SessionEnd, now: datetime) -> set[UUID]:
        """End some sessions. Returns those that were live.

        `endings` and this do it alone, so that none ends without services learning of it.
        """
        # Locked in the order of their ids, so that two such calls do not wait for each other.
        is_open = sessions.c.ended_at.is_(None)
        query = select(sessions.c.id).where(condition, is_open).order_by(sessions.c.id).with_for_update()
        found = set(self._connection.execute(query).scalars())
        return self.end_each(found, reason, now) if found else found

    def _revoke(self, rules: Select[Any]) -> None:
        self.has_revoked = True
        self._connection.execute(insert(revocations).from_select(["subject", "min_generation", "token_end"], rules))


def _live(now: datetime) -> ColumnElement[bool]:
    # The idle end never lies after the absolute end, so it alone decides.
    return and_(sessions.c.ended_at.is_(None), sessions.c.idle_end > now)


def to_row(session: Session) -> dict[str, Any]:
    """Return the columns of a session."""
    values = {name: getattr(session, name) for name in _SAME}
    return {**values, "idle_seconds": int(session.idle.total_seconds()) if session.idle else None}


def _to_session(row: Row[Any]) -> Session:
    values = {name: row._mapping[sessions.c[name]] for name in _SAME}
    reason, seconds = values["end_reason"], row._mapping[sessions.c.idle_seconds]
    values["end_reason"] = SessionEnd(reason) if reason else None
    values["auth_methods"] = values["auth_methods"] or PASSWORD_ALONE
    values["network"] = values["network"] or ""
    return Session(**values, idle=timedelta(seconds=seconds) if seconds else None)
