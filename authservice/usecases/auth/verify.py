"""Verify: say whose access token it is, with the database as the authority."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, SessionEnded, StorageUnavailable, TokenOutdated, TokenRejected
from authservice.domain.session import Standing
from authservice.domain.tokens import Identity
from authservice.ports import AccessTokens, Clock, LiveSessions


@dataclass(frozen=True, slots=True)
class Verify:
    """Judges access tokens."""

    access_tokens: AccessTokens
    live_sessions: LiveSessions
    clock: Clock

    def __call__(self, access_token: str, deadline: Deadline) -> Identity:
        """Return whose token it is. Raises TokenRejected, DeadlineTooShort, StorageUnavailable."""
        now = self.clock()
        identity = self.access_tokens.read(access_token, now)
        standing = self.live_sessions.judge(identity.session_id, identity.user_id, identity.generation, now, deadline)
        if refusal := _refusal(standing):
            raise refusal
        return identity

    def each(self, access_tokens: Sequence[str]) -> list[Identity | AuthError]:
        """Return whose tokens they are, or what else would be raised, in their order, from one read that starts now.

        For one thread at a time.
        """
        now = self.clock()
        outcomes = [self._read(token, now) for token in access_tokens]
        asked = [outcome for outcome in outcomes if isinstance(outcome, Identity)]
        try:
            standings = iter(self.live_sessions.judge_each(asked, now))
        except StorageUnavailable as error:
            return [error if isinstance(outcome, Identity) else outcome for outcome in outcomes]
        return [
            (_refusal(next(standings)) or outcome) if isinstance(outcome, Identity) else outcome for outcome in outcomes
        ]

    def _read(self, access_token: str, now: datetime) -> Identity | AuthError:
        try:
            return self.access_tokens.read(access_token, now)
        except TokenRejected as rejected:
            return rejected


def _refusal(standing: Standing) -> TokenRejected | None:
    if standing is Standing.SESSION_OVER:
        return SessionEnded()
    if standing is Standing.OUTDATED:
        return TokenOutdated()
    assert standing is Standing.GOOD
    return None
