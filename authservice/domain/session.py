"""Sessions, and what a presented refresh token means for one.

A login opens one session. Each refresh replaces the session's refresh token by its successor: the generation grows by
one, and the session remembers when the token was spent. Each token is judged by its own first use: for GRACE it is
answered with whatever the session's current token is by then, because a client whose answer was lost, or that runs in
several tabs, cannot know better. RFC 9700 section 4.14.2 and ASVS 10.4.5 know no such window; docs/tokens.md gives the
reasons for the deviation.
"""

import itertools
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

GRACE = timedelta(seconds=30)
"""How long a spent refresh token is still answered. Covers a client's retries after a lost answer."""
MOST_SPENT = 64
"""How often a session is rotated within GRACE, so that it can remember each time. Beyond, its token stays."""


PASSWORD_ALONE = ("pwd",)
"""How a user was proved who sent a password and nothing else (RFC 8176)."""


class SessionEnd(Enum):
    """Why a session ended before its time."""

    LOGOUT = "logout"
    REVOKED = "revoked"
    TOO_MANY = "too_many"
    BY_OPERATOR = "by_operator"
    REFRESH_REUSE = "refresh_reuse"
    USER_DISABLED = "user_disabled"
    ACCOUNT_DELETED = "account_deleted"
    PASSWORD_SET = "password_set"  # noqa: S105  # as the next
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # it is none
    PASSWORD_RESET = "password_reset"  # noqa: S105  # no password
    EMAIL_CHANGED = "email_changed"
    FACTOR_REMOVED = "factor_removed"
    OTHER = "other"
    """What a later version calls it, whose servers may run beside those of this one."""

    @classmethod
    def _missing_(cls, value: object) -> "SessionEnd":
        return cls.OTHER


class Scope(Enum):
    """Which of the caller's sessions a logout ends."""

    THIS = "this"
    OTHERS = "others"
    ALL = "all"


class Standing(Enum):
    """What an access token with a good signature is worth."""

    GOOD = "good"
    OUTDATED = "outdated"
    SESSION_OVER = "session_over"


class Presented(Enum):
    """What a refresh token with a valid seal is to its session."""

    CURRENT = "current"
    KEPT = "kept"
    JUST_SPENT = "just_spent"
    REUSED = "reused"
    FOREIGN = "foreign"
    SESSION_OVER = "session_over"


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long sessions live, and how many of them one user may have.

    The defaults are NIST SP 800-63B's limits: for AAL2 30 minutes idle and 12 hours in all; for AAL1, which a user asks
    for who wants to be remembered, 30 days in all.

    Args:
        remembered_idle: for the sessions of users who want to be remembered.
        remembered_absolute: the same in all. Zero where nobody is.
        most: how many live sessions one user has at most; zero for any number.
    """

    idle: timedelta = timedelta(minutes=30)
    absolute: timedelta = timedelta(hours=12)
    access_token: timedelta = timedelta(minutes=15)
    remembered_idle: timedelta = timedelta(days=7)
    remembered_absolute: timedelta = timedelta(days=30)
    most: int = 0

    def lives(self, *, is_remembered: bool) -> tuple[timedelta, timedelta]:
        """Return how long a session may be idle, and how long it may last in all."""
        if is_remembered and self.remembered_absolute:
            return self.remembered_idle, self.remembered_absolute
        return self.idle, self.absolute

    def access_token_end(self, now: datetime, absolute_end: datetime) -> datetime:
        """Return when an access token issued at `now` expires."""
        return min(now + self.access_token, absolute_end)


@dataclass(frozen=True, slots=True)
class Opening:
    """How a session is opened.

    Args:
        label: what its user calls the client.
        network: where the call came from: an IPv4 address, or the /64 of an IPv6 one.
        auth_methods: how the user was proved, as RFC 8176 names.
        is_remembered: whether the user wants it to last for long.
    """

    label: str = ""
    network: str = ""
    auth_methods: tuple[str, ...] = PASSWORD_ALONE
    is_remembered: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """One session of one user.

    Times are UTC in microseconds; `refresh_hash` and `spent_hash` are SHA-256 of refresh tokens, the current one and
    the one before. `spent_at` says when the latest ones were spent, oldest first; servers of the version before note
    the last of them alone, as `rotated_at`. `token_end` is when the last access token of the session expires; rows of
    the first schema have none. `auth_methods` says how the user was proved, as RFC 8176 names, for the last time at
    `authenticated_at`. `idle` is how long it may be unused, None for as long as the settings say. `network` is where it
    was opened from. Sessions of the version before do not know when they were opened.
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
    spent_at: tuple[datetime, ...] = ()
    opened_at: datetime | None = None
    auth_methods: tuple[str, ...] = PASSWORD_ALONE
    idle: timedelta | None = None
    network: str = ""

    @property
    def used_at(self) -> datetime:
        """When its tokens were issued last."""
        return self.rotated_at or self.opened_at or self.authenticated_at

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
            spent_at=(*self._spent_lately(now), now),
            # Sliding never passes the absolute end.
            idle_end=min(now + (self.idle or limits.idle), self.absolute_end),
            # A token that was issued while the clock was ahead may still be to come.
            token_end=max(filter(None, (self.token_end, limits.access_token_end(now, self.absolute_end)))),
        )

    def proved(self, methods: tuple[str, ...], now: datetime, limits: SessionLimits) -> "Session":
        """Return the session after its user was proved once more at `now`, in all by these methods."""
        return replace(
            self,
            authenticated_at=now,
            auth_methods=methods,
            token_end=max(filter(None, (self.token_end, limits.access_token_end(now, self.absolute_end)))),
        )

    def knows(self, generation: int) -> bool:
        """Tell whether it is known when the token of a generation was spent, if it was."""
        return 0 <= self.generation - generation <= len(self._spends)

    def judge(self, heir_hash: bytes, generation: int, now: datetime) -> Presented:
        """Say what a refresh token of this session, whose seal is valid, means at `now`.

        Args:
            heir_hash: of the token that has followed from it by the generation of this session.
            generation: of the token.
        """
        if not self.is_live(now):
            return Presented.SESSION_OVER
        age = self.generation - generation
        if heir_hash == self.refresh_hash and self.knows(generation):
            if not age:
                return Presented.CURRENT if len(self._spent_lately(now)) < MOST_SPENT else Presented.KEPT
            if now <= self._spends[-age] + GRACE:
                return Presented.JUST_SPENT
        # A later generation than ours comes from a database that was restored to an earlier state. Its holder did
        # nothing wrong.
        return Presented.REUSED if age > 0 else Presented.FOREIGN

    @property
    def _spends(self) -> tuple[datetime, ...]:
        if self.rotated_at is None or (self.spent_at and self.spent_at[-1] == self.rotated_at):
            return self.spent_at
        return (self.rotated_at,)

    def _spent_lately(self, now: datetime) -> tuple[datetime, ...]:
        return tuple(itertools.dropwhile(lambda moment: moment + GRACE < now, self._spends))
