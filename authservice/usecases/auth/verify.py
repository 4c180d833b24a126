"""Verify: say whose access token it is, with the database as the authority."""

from dataclasses import dataclass

from authservice.domain.deadline import Deadline
from authservice.domain.errors import SessionEnded, TokenOutdated
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
        if standing is Standing.SESSION_OVER:
            raise SessionEnded
        if standing is Standing.OUTDATED:
            raise TokenOutdated
        assert standing is Standing.GOOD
        return identity
