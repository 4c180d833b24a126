"""Sessions, and what a presented refresh token means for one.

A login opens one session. Each refresh replaces the session's refresh token by its successor: the generation grows by
one and the hash of the spent token stays beside that of the new one. A spent token still gets the same successor for
GRACE, because a client whose answer was lost, or that runs in two tabs, cannot know better. RFC 9700 section 4.14.2 and
ASVS 10.4.5 know no such window; docs/tokens.md gives the reasons for the deviation.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

GRACE = timedelta(seconds=30)
"""How long a spent refresh token is answered with its successor. Covers a client's retries after a lost answer."""


class SessionEnd(Enum):
    """Why a session ended before its time."""

    LOGOUT = "logout"
    REFRESH_REUSE = "refresh_reuse"
    USER_DISABLED = "user_disabled"


class Standing(Enum):
    """What an access token with a good signature is worth."""

    GOOD = "good"
    OUTDATED = "outdated"
    SESSION_OVER = "session_over"


class Presented(Enum):
    """What a refresh token with a valid seal is to its session."""

    CURRENT = "current"
    JUST_SPENT = "just_spent"
    REUSED = "reused"
    FOREIGN = "foreign"
    SESSION_OVER = "session_over"


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long sessions live. The defaults are NIST SP 800-63B's limits for AAL2: 30 minutes idle, 12 hours in all."""

    idle: timedelta = timedelta(minutes=30)
    absolute: timedelta = timedelta(hours=12)
    access_token: timedelta = timedelta(minutes=15)

    def idle_end(self, now: datetime, absolute_end: datetime) -> datetime:
        """Return when a session used at `now` becomes idle. Sliding never passes the absolute end."""
        return min(now + self.idle, absolute_end)

    def access_token_end(self, now: datetime, absolute_end: datetime) -> datetime:
        """Return when an access token issued at `now` expires."""
        return min(now + self.access_token, absolute_end)


@dataclass(frozen=True, slots=True)
class Session:
    """One session of one user.

    Times are UTC in microseconds; `refresh_hash` and `spent_hash` are SHA-256 of refresh tokens. `token_end` is when
    the last access token of the session expires; rows of the first schema have none.
    """

    id: UUID
    user_id: UUID
    client_label: str
    authenticated_at: datetime
    idle_end: datetime
    absolute_end: datetime
    refresh_hash: bytes = field(repr=False)
    generation: int = 0
    spent_hash: bytes | None = field(default=None, repr=False)
    rotated_at: datetime | None = None
    ended_at: datetime | None = None
    token_end: datetime | None = None
    end_reason: SessionEnd | None = None

    def is_live(self, now: datetime) -> bool:
        """Tell whether the session is neither ended nor expired at `now`."""
        return self.ended_at is None and now < self.idle_end and now < self.absolute_end

    def rotated(self, successor_hash: bytes, now: datetime, limits: SessionLimits) -> "Session":
        """Return the session after its current refresh token was spent at `now`."""
        return replace(
            self,
            refresh_hash=successor_hash,
            spent_hash=self.refresh_hash,
            generation=self.generation + 1,
            rotated_at=now,
            idle_end=limits.idle_end(now, self.absolute_end),
            token_end=limits.access_token_end(now, self.absolute_end),
        )

    def judge(self, token_hash: bytes, generation: int, now: datetime) -> Presented:
        """Say what a refresh token of this session, whose seal is valid, means at `now`."""
        if not self.is_live(now):
            return Presented.SESSION_OVER
        if token_hash == self.refresh_hash:
            return Presented.CURRENT
        if token_hash == self.spent_hash and self.rotated_at is not None and now <= self.rotated_at + GRACE:
            return Presented.JUST_SPENT
        # A later generation than ours comes from a database that was restored to an earlier state. Its holder did
        # nothing wrong.
        return Presented.REUSED if generation < self.generation else Presented.FOREIGN
