"""What this server knows about revoked tokens, for those who watch.

The rules are read from the database again and again, which is also how the servers of one database learn of each
other's revocations. Numbers are given out in another order than transactions commit, so asking for higher numbers alone
would lose the rule of a transaction that stayed open for long. A proof therefore also counts what there is, in the same
read; if that is not what is known here, everything is read again.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from authservice.domain.errors import ResumePointUnknown
from authservice.domain.revocation import Revocation
from authservice.ports import Clock, RevocationLog

KEPT = 20_000
"""Rules that a slow watcher may lag behind; after that it has to begin again."""
PROOF_SHARE = 50
"""Between two proofs lies this many times the length of one, so that a long log costs the database 2 % of its time."""
LONGEST_PAUSE = 2.0
"""Seconds between two proofs, however long one takes: nobody's knowledge is to become old for one slow read."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A place in the feed, and what is true there.

    Args:
        position: how many rules have arrived in this process.
        seq: the highest number among them.
        history: names the database and the rule with that number, as proof that both sides mean the same one.
        rule_count: how many of them matter after `read_time`.
        read_time: when the rules were last known to be complete, by the server's clock.
        read_uptime: the same moment in seconds of this process's monotonic clock.
    """

    position: int
    seq: int
    history: str
    rule_count: int
    read_time: datetime
    read_uptime: float


class TooFarBehind(Exception):
    """The rules after this position are not at hand one by one any more."""


class RevocationFeed:
    """Keeps the rules that still matter. Lives as long as the process.

    `refresh` is for one thread, everything else for any, after the first proof.

    Args:
        database: names the database, so that nobody resumes in another one.
    """

    def __init__(
        self, log: RevocationLog, database: str, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self.monotonic = monotonic
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._rules: dict[Revocation, None] = {}
        self._expiring: dict[datetime, list[Revocation]] = {}
        self._snapshot: tuple[tuple[Revocation, ...], Bookmark] | None = None
        self._arrived: list[Revocation] = []
        self._cut = 0
        """Up to which position rules that still matter are not at hand any more."""
        self._position = 0
        self._seq = 0
        self._last: Revocation | None = None
        self._read: tuple[datetime, float] | None = None
        self._next_proof = 0.0

    @property
    def is_ready(self) -> bool:
        """Whether the rules have been read completely once."""
        return self._read is not None

    @property
    def position(self) -> int:
        """How many rules have arrived so far."""
        return self._position

    def refresh(self) -> None:
        """Read what is new, with a proof if one is due. Raises StorageUnavailable."""
        if self._read is None or self.monotonic() >= self._next_proof:
            self._prove()
        else:
            self._add(self._log.after(self._seq), self._read[0])

    def snapshot(self) -> tuple[tuple[Revocation, ...], Bookmark]:
        """Return every rule, and where that is. Those who ask at the same place share one answer."""
        with self._lock:
            bookmark = self._bookmark()
            if self._snapshot is None or self._snapshot[1] != bookmark:
                self._snapshot = tuple(self._rules), bookmark
            return self._snapshot

    def resume(self, history: str, seq: int) -> tuple[tuple[Revocation, ...], Bookmark]:
        """Return the rules with a higher number than `seq`, and where that is.

        Raises ResumePointUnknown unless the rule with this number is the same here as where the watcher got it: after a
        restored backup the same numbers are given to other rules.
        """
        rules, bookmark = self.snapshot()
        last = next((rule for rule in (*rules, self._last) if rule and rule.seq == seq), None)
        if history != self._history(last) or (seq and not last):
            raise ResumePointUnknown
        return tuple(rule for rule in rules if rule.seq > seq), bookmark

    def since(self, position: int) -> tuple[list[Revocation], Bookmark]:
        """Return the rules that arrived after a position, and where that is. Raises TooFarBehind."""
        with self._lock:
            missing = self._position - position
            if missing > KEPT or position < self._cut:
                raise TooFarBehind
            # Those that are missing here as well mean nothing any more.
            return self._arrived[max(0, len(self._arrived) - missing) :], self._bookmark()

    def _prove(self) -> None:
        begin, now = self.monotonic(), self._clock()
        rules, count = self._log.counted_after(self._seq, now)
        self._add(rules, now)
        missed = self._log.all(now) if count != self._count(now) else []
        with self._lock:
            # At once, so that at each moment the rules are those of the read time, also where the clock was set back.
            self._take(missed, now)
            self._drop(now)
            self._read = now, begin
        self._next_proof = begin + min(LONGEST_PAUSE, PROOF_SHARE * (self.monotonic() - begin))

    def _bookmark(self) -> Bookmark:
        assert self._read is not None
        return Bookmark(self._position, self._seq, self._history(self._last), len(self._rules), *self._read)

    def _history(self, last: Revocation | None) -> str:
        return f"{self._database}.{last.subject.hex[-16:]}" if last else self._database

    def _count(self, now: datetime) -> int:
        return sum(len(rules) for moment, rules in self._expiring.items() if moment > now)

    def _add(self, rules: Iterable[Revocation], now: datetime) -> None:
        with self._lock:
            self._take(rules, now)

    def _take(self, rules: Iterable[Revocation], now: datetime) -> None:
        """Take rules that are new and still matter at `now`."""
        for rule in rules:
            if rule.seq > self._seq:
                self._seq, self._last = rule.seq, rule
            expires_at = rule.expires_at
            if rule not in self._rules and expires_at > now:
                self._rules[rule] = None
                self._expiring.setdefault(expires_at, []).append(rule)
                self._arrived.append(rule)
                self._position += 1
        if len(self._arrived) > 2 * KEPT:
            del self._arrived[:-KEPT]
            self._cut = self._position - KEPT

    def _drop(self, now: datetime) -> None:
        for moment in [moment for moment in self._expiring if moment <= now]:
            for rule in self._expiring.pop(moment):
                del self._rules[rule]
        # Nor does anybody who lags behind need them.
        live = next((at for at, rule in enumerate(self._arrived) if rule.expires_at > now), len(self._arrived))
        del self._arrived[:live]
