"""Refresh: spend a refresh token and hand out its successor."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from authservice.domain.deadline import Deadline
from authservice.domain.errors import RefreshTokenReused, SessionEnded, TokenInvalid
from authservice.domain.session import Presented, Session, SessionEnd, SessionLimits
from authservice.domain.tokens import RefreshToken, SessionTokens
from authservice.domain.user import User
from authservice.ports import (
    Audit,
    AuthStores,
    Clock,
    Database,
    RefreshTokens,
)
from authservice.usecases.steps.issue_tokens import IssueTokens

_Spent: TypeAlias = tuple[Presented, Session, User]


@dataclass(frozen=True, slots=True)
class Refresh:
    """Rotates refresh tokens.

    The successor is computed from the presented token alone, before the database is asked. Of any number of parallel
    calls with one token, one wins the conditional update; the others find the token just spent and answer with the same
    successor.
    """

    database: Database[AuthStores]
    refresh_tokens: RefreshTokens
    issue_tokens: IssueTokens
    limits: SessionLimits
    clock: Clock
    audit: Audit

    def __call__(self, text: str, deadline: Deadline) -> SessionTokens:
        """Return the successor tokens.

        Raises TokenInvalid, SessionEnded, RefreshTokenReused, TokenTooLarge, DeadlineTooShort, StorageUnavailable,
        Conflict.
        """
        token = self.refresh_tokens.read(text)
        successor = self.refresh_tokens.successor(token)
        now = self.clock()
        presented, session, user = self.database.transact(
            lambda tx: self._spend(tx, token, successor, now), deadline, settle=_settle
        )
        match presented:
            case Presented.CURRENT:
                self.audit.record("session_refreshed", session_id=str(session.id), generation=session.generation)
            case Presented.REUSED:
                self.audit.record("refresh_reuse", user_id=str(user.id), session_id=str(session.id))
                raise RefreshTokenReused
            case Presented.SESSION_OVER:
                raise SessionEnded
            case Presented.FOREIGN:
                raise TokenInvalid
        return self.issue_tokens(user, session, successor, now)

    def _spend(self, tx: AuthStores, token: RefreshToken, successor: RefreshToken, now: datetime) -> _Spent:
        won = tx.sessions.rotate(token, successor, now, now + self.limits.idle, now + self.limits.access_token)
        # Read after the update, so that a loser sees what the winner has committed.
        found = tx.sessions.get(token.session_id)
        if found is None:
            raise SessionEnded
        session, user = found
        if not user.is_active:
            raise SessionEnded
        presented = Presented.CURRENT if won else session.judge(token.hash, token.generation, now)
        if presented is Presented.REUSED:
            tx.sessions.end(session.id, SessionEnd.REFRESH_REUSE, now)
        return presented, session, user


def _settle(earlier: _Spent, last: _Spent) -> _Spent:
    # A token that the earlier run spent is just spent to the last one.
    return earlier if earlier[0] is Presented.CURRENT and last[0] is Presented.JUST_SPENT else last
