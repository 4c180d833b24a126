"""How often anybody may try to prove who they are, before it is known whether they can.

Attempts are counted in buckets, and every bucket of a call has to have room before any of them counts it. An attempt is
counted before its secret is compared, so that no number of parallel guesses outruns the count; success empties the
buckets of the account.

- The account's: at most 100 comparisons in a row, from wherever they come (NIST SP 800-63B-4 section 3.2.2). Then only
  a network counts that the user has logged in from before; or a reset.
- The account's from one network: a few are free, then each failure doubles the pause.
- The network's: many accounts tried from one address. A success takes several failures off, so that a proxy in front
  of honest people does not lock them out.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

MOST_IN_A_ROW = 100
"""Failures in a row on one account, NIST's limit."""
ALL = 2**31 - 1
"""More attempts than there are."""
WORTH = 5
"""Failures that a success takes off its network."""
COMPARED_WITHIN = timedelta(minutes=1)
"""How long a secret is kept of which it is not known yet whether it is right."""
UNTIL_HELPED = timedelta(minutes=15)
"""What is said to who meets a limit that no waiting lifts: they should not learn which one it is."""


@dataclass(frozen=True, slots=True)
class Count:
    """What a bucket holds: the attempts that were admitted, and when the next one may be."""

    attempts: int
    next_at: datetime


class Limit(Protocol):
    """What a bucket admits."""

    @property
    def kept(self) -> timedelta:
        """How long after the last attempt a bucket is forgotten."""

    def wait(self, count: Count, now: datetime) -> timedelta:
        """Return how long it is until the next attempt is admitted; zero if one is admitted now."""

    def admitted(self, count: Count, now: datetime) -> Count:
        """Return the count after one more attempt."""


@dataclass(frozen=True, slots=True)
class Growing:
    """The first attempts are free; then the pause before the next one doubles from `first` to `longest`.

    Args:
        most: after so many none is admitted until the bucket is emptied; zero for any number.
    """

    free: int
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=15)
    most: int = 0
    kept: timedelta = timedelta(days=1)

    def wait(self, count: Count, now: datetime) -> timedelta:
        """Return how long it is until the next attempt is admitted; zero if one is admitted now."""
        if self.most and count.attempts >= self.most:
            return UNTIL_HELPED
        if count.attempts < self.free:
            # Not by the clock: of two that come together, the one that read it first may be counted second.
            return timedelta()
        return max(timedelta(), count.next_at - now)

    def admitted(self, count: Count, now: datetime) -> Count:
        """Return the count after one more attempt."""
        attempts = count.attempts + 1
        if attempts < self.free:
            return Count(attempts, now)
        doublings = min(attempts - self.free, 32)
        return Count(attempts, now + min(self.first * 2**doublings, self.longest))


@dataclass(frozen=True, slots=True)
class Steady:
    """So many in a period, which may come at once; each makes room again after its share of the period."""

    most: int
    period: timedelta

    @property
    def kept(self) -> timedelta:
        """How long after the last attempt a bucket is forgotten."""
        return self.period

    def wait(self, count: Count, now: datetime) -> timedelta:
        """Return how long it is until the next attempt is admitted; zero if one is admitted now."""
        # The generic cell rate algorithm: `next_at` is when all that was admitted has been worked off.
        share = self.period / self.most
        return max(timedelta(), count.next_at + share - now - self.period)

    def admitted(self, count: Count, now: datetime) -> Count:
        """Return the count after one more attempt."""
        return Count(count.attempts + 1, max(count.next_at, now) + self.period / self.most)


@dataclass(frozen=True, slots=True)
class Bucket:
    """What attempts are counted under.

    Args:
        subject: 32 bytes that stand for what is counted.
        owner: 32 bytes that stand for the account, of whose buckets an operator may empty all; None for others.
    """

    subject: bytes
    limit: Limit
    owner: bytes | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """A secret that is about to be compared. The same one again is no other guess, and is not counted while it is kept.

    Args:
        fingerprint: 32 bytes that stand for the account and the secret.
        owner: 32 bytes that stand for the account.
    """

    fingerprint: bytes
    owner: bytes


IN_A_ROW = Growing(MOST_IN_A_ROW, timedelta(), timedelta(), most=MOST_IN_A_ROW, kept=timedelta(days=30))
"""The account's limit, from wherever the attempts come."""
FROM_A_KNOWN_NETWORK = Growing(5, longest=timedelta(seconds=30), most=MOST_IN_A_ROW, kept=timedelta(days=30))
"""From a network that the user has logged in from: they wait 30 seconds at most, whoever tries beside them."""
