"""Logout: end sessions of the caller."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import (
    AuthError,
    InvalidInput,
    NotPermitted,
    RefreshTokenReused,
    SessionEnded,
    TokenInvalid,
    TokenRejected,
    Violation,
)
from authservice.domain.fields import Fields, uuid_of
from authservice.domain.session import Presented, Scope, Session, SessionEnd
from authservice.domain.tokens import RefreshToken
from authservice.ports import (
    AccessTokens,
    Audit,
    AuthStores,
    Clock,
    Database,
    RefreshTokens,
    SessionEnds,
)
from authservice.usecases.steps.judge_refresh_token import judge_refresh_token


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """What a caller sends to log out. The refresh token counts where the access token cannot be used."""

    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    scope: Scope | None = None
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class _Proof:
    """Whose session is calling, and by which refresh token if not by an access token."""

    session_id: UUID
    refresh_token: RefreshToken | None = None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How many sessions were ended, and whose spent refresh token was presented, if it was one."""

    ended: int
    reused_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class Logout:
    """Ends sessions."""

    database: Database[AuthStores]
    session_ends: SessionEnds
    access_tokens: AccessTokens
    refresh_tokens: RefreshTokens
    clock: Clock
    audit: Audit

    def __call__(self, request: LogoutRequest, deadline: Deadline) -> int:
        """Return how many sessions were live and are ended now.

        Raises InvalidInput, TokenRejected, NotPermitted, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        target = read_target(request)
        now = self.clock()
        proof = self._read_proof(request, now)
        if proof is None:
            return 0
        if target is Scope.THIS and proof.refresh_token is None:
            outcome = _Outcome(int(self.session_ends.logout(proof.session_id, now, deadline)))
        else:
            outcome = self.database.transact(lambda tx: self._end(tx, proof, target, now), deadline, settle=_settle)
        if outcome.reused_by:
            self.audit.record(events.RefreshReuse(user_id=outcome.reused_by, session_id=proof.session_id))
            raise RefreshTokenReused
        self.audit.record(events.Logout(session_id=proof.session_id, target=target, ended=outcome.ended))
        return outcome.ended

    def each(self, requests: Sequence[LogoutRequest], deadline: Deadline) -> list[int | AuthError]:
        """Do the same for several requests, in their order, and return what would be raised.

        Those that end the session of their own access token share one transaction.
        """
        now = self.clock()
        own = {number: found for number, request in enumerate(requests) if (found := self._own_session(request, now))}
        ended: dict[int, int | AuthError] = {}
        try:
            outcomes = self.session_ends.logout_each(list(own.values()), now, deadline) if own else []
            ended.update(zip(own, map(int, outcomes), strict=True))
        except AuthError as error:
            ended.update(dict.fromkeys(own, error))
        for number, outcome in ended.items():
            if not isinstance(outcome, AuthError):
                self.audit.record(events.Logout(session_id=own[number], target=Scope.THIS, ended=outcome))
        return [
            ended[number] if number in ended else self._outcome(request, deadline)
            for number, request in enumerate(requests)
        ]

    def _own_session(self, request: LogoutRequest, now: datetime) -> UUID | None:
        """Return the session that a request ends if it is the one of its access token, and None for all others."""
        try:
            if read_target(request) is Scope.THIS:
                return self.access_tokens.read(request.access_token, now).session_id
        except AuthError:
            pass
        return None

    def _outcome(self, request: LogoutRequest, deadline: Deadline) -> int | AuthError:
        try:
            return self(request, deadline)
        except AuthError as error:
            return error

    def _read_proof(self, request: LogoutRequest, now: datetime) -> _Proof | None:
        try:
            return _Proof(self.access_tokens.read(request.access_token, now).session_id)
        except TokenRejected:
            if not request.refresh_token:
                raise
        try:
            token = self.refresh_tokens.read(request.refresh_token)
        except TokenInvalid:
            return None  # RFC 7009 section 2.2: revoking an unknown token is a success.
        return _Proof(token.session_id, token)

    def _end(self, tx: AuthStores, proof: _Proof, target: Scope | UUID, now: datetime) -> _Outcome:
        found = tx.sessions.get(proof.session_id)
        if found is None:
            return _Outcome(0)
        session, user = found
        if proof.refresh_token:
            presented, _ = judge_refresh_token(self.refresh_tokens, proof.refresh_token, session, now)
            if presented is Presented.FOREIGN:
                return _Outcome(0)
            if presented is Presented.REUSED:
                return _Outcome(tx.sessions.end(session.id, SessionEnd.REFRESH_REUSE, now), reused_by=user.id)
        return _Outcome(self._end_target(tx, session, user.id, target, now))

    def _end_target(self, tx: AuthStores, session: Session, user_id: UUID, target: Scope | UUID, now: datetime) -> int:
        if target is Scope.THIS or target == session.id:
            return tx.sessions.end(session.id, SessionEnd.LOGOUT, now)
        if not session.is_live(now):
            return self._repeated(tx, user_id, target, now)
        if isinstance(target, Scope):
            keep = session.id if target is Scope.OTHERS else None
            return tx.sessions.end_all(user_id, SessionEnd.LOGOUT, now, keep)
        other = tx.sessions.get(target)
        if other is None or other[1].id != user_id:
            raise NotPermitted("There is no such session of yours.")
        return tx.sessions.end(target, SessionEnd.LOGOUT, now)

    def _repeated(self, tx: AuthStores, user_id: UUID, target: Scope | UUID, now: datetime) -> int:
        # A dead session has no say over living ones. But a repeated "log out everywhere" whose first answer was lost
        # asks for nothing that is not so already, and that is success.
        if target is Scope.ALL and tx.sessions.count_live(user_id, now) == 0:
            # Unless the clock is ahead, and they come back with it.
            return tx.sessions.end_all(user_id, SessionEnd.LOGOUT, now)
        raise SessionEnded


def _settle(earlier: _Outcome, last: _Outcome) -> _Outcome:
    # What the earlier run ended, the last one finds ended.
    return earlier if earlier.ended > last.ended else last


def read_target(request: LogoutRequest) -> Scope | UUID:
    """Return what the request wants ended. Raises InvalidInput."""
    if not request.session_id:
        return request.scope or Scope.THIS
    if request.scope is not None:
        raise InvalidInput(Violation("session_id", "must not be combined with a scope"))
    fields = Fields()
    named = fields.read("session_id", uuid_of, request.session_id)
    fields.require_valid()
    assert named is not None
    return named
