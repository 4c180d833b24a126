"""Refresh: spend a refresh token and hand out its successor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, RefreshTokenReused, SessionEnded, TokenInvalid
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
from authservice.usecases.steps.judge_refresh_token import judge_refresh_token

_Rotation: TypeAlias = tuple[RefreshToken, RefreshToken]
"""A presented token and its successor."""
_Spent: TypeAlias = tuple[Presented, Session, User, RefreshToken]
"""What a presented token was to its session, the session as it is now, and the token that is handed out."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Rotates refresh tokens.

    The successor is computed from the presented token alone, before the database is asked. Of any number of parallel
    calls with one token, one spends it; the others find the token just spent and answer with what has followed from it.
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
        (outcome,) = self.each([text], deadline)
        if isinstance(outcome, AuthError):
            raise outcome
        return outcome

    def each(self, texts: Sequence[str], deadline: Deadline) -> list[SessionTokens | AuthError]:
        """Return the successors of several tokens, or what else would be raised, in their order.

        All are spent in one transaction.
        """
        read = [self._read(text) for text in texts]
        rotations = [each for each in read if not isinstance(each, TokenInvalid)]
        now = self.clock()
        try:
            spent = iter(
                self.database.transact(lambda tx: self._spend(tx, rotations, now), deadline, settle=_settle)
                if rotations
                else ()
            )
        except AuthError as error:
            return [each if isinstance(each, TokenInvalid) else error for each in read]
        return [each if isinstance(each, TokenInvalid) else self._answer(next(spent), now) for each in read]

    def _read(self, text: str) -> _Rotation | TokenInvalid:
        try:
            token = self.refresh_tokens.read(text)
        except TokenInvalid as invalid:
            return invalid
        return token, self.refresh_tokens.successor(token)

    def _spend(self, tx: AuthStores, rotations: Sequence[_Rotation], now: datetime) -> list[_Spent | None]:
        """Spend what is current, and say what each token was, in their order; None for one without a session."""
        held = tx.sessions.hold_each({token.session_id for token, _ in rotations})
        spent: list[_Spent | None] = []
        due: dict[UUID, tuple[RefreshToken, Session]] = {}
        reused = []
        for token, successor in rotations:
            if token.session_id not in held:
                spent.append(None)
                continue
            session, user = held[token.session_id]
            presented, handed_out = judge_refresh_token(self.refresh_tokens, token, session, now)
            if not user.is_active:
                presented = Presented.SESSION_OVER
            if presented is Presented.CURRENT:
                if session.id in due:  # The successor has come already, with the token that it follows.
                    self._rotate(tx, due, now)
                session, handed_out = session.rotated(successor.hash, now, self.limits), successor
                due[session.id] = token, session
            elif presented is Presented.REUSED:
                reused.append(session.id)
                session = replace(session, ended_at=now)
            held[session.id] = session, user
            spent.append((presented, session, user, handed_out))
        self._rotate(tx, due, now)
        for session_id in reused:
            tx.sessions.end(session_id, SessionEnd.REFRESH_REUSE, now)
        return spent

    def _rotate(self, tx: AuthStores, due: dict[UUID, tuple[RefreshToken, Session]], now: datetime) -> None:
        if due:
            rotated = tx.sessions.rotate_each(list(due.values()), now)
            assert rotated == len(due), "sessions have changed while they were held"
            due.clear()

    def _answer(self, spent: _Spent | None, now: datetime) -> SessionTokens | AuthError:
        if spent is None:
            return SessionEnded()
        presented, session, user, handed_out = spent
        match presented:
            case Presented.CURRENT:
                self.audit.record(events.SessionRefreshed(session_id=session.id, generation=session.generation))
            case Presented.REUSED:
                self.audit.record(events.RefreshReuse(user_id=user.id, session_id=session.id))
                return RefreshTokenReused()
            case Presented.SESSION_OVER:
                return SessionEnded()
            case Presented.FOREIGN:
                return TokenInvalid()
        try:
            return self.issue_tokens(user, session, handed_out, now)
        except AuthError as error:
            return error


def _settle(earlier: list[_Spent | None], last: list[_Spent | None]) -> list[_Spent | None]:
    # A token that the earlier run spent is just spent to the last one.
    return [
        before if before and after and (before[0], after[0]) == (Presented.CURRENT, Presented.JUST_SPENT) else after
        for before, after in zip(earlier, last, strict=True)
    ]
