"""Streams that are open: each is judged again for as long as it lasts."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from authclient._judging.guard import Guard
from authclient._judging.observer import contain, log
from authclient._judging.rules import Rule
from authclient._judging.verified import Ask, Verified
from authclient._wire.refusals import Refused

LEAST_STALENESS = 2.0
"""Seconds. A view is never much younger than the last heartbeat, so a stream cannot ask for less."""

UNWATCHED_SECONDS = 2.0
"""How long streams go on while nobody looks at the time for them, and new ones are refused."""
ASKED_AT_ONCE = 8
ASKING_SECONDS = 5.0
"""How long streams may go on for want of an answer, once too little is known about them."""


class Lease:
    """A stream's permission to go on. Lives as long as the stream.

    Args:
        name: what the caller calls the stream, if it wants to renew the lease.
        end: ends the stream with a refusal. Called at most once, by any thread; it must not wait.
    """

    def __init__(
        self, method: str, rule: Rule, verified: Verified, name: str | None, end: Callable[[Refused], None]
    ) -> None:
        self.method = method
        self.rule = rule
        self.verified = verified
        self.name = name
        self.end = end
        self.asked_at: float | None = None
        self.refused: Refused | None = None


class Leases:
    """All leases of one server. Safe for many threads."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._monotonic = guard.trust.judge.knowledge.monotonic
        self._lock = threading.Lock()
        self._leases: set[Lease] = set()
        self._named: dict[tuple[str, str], Lease] = {}
        self._is_asking = False
        self._unable_since: float | None = None
        self._following = guard.trust.following
        if self._following:
            self._following.listen(self.review)

    def __len__(self) -> int:
        return len(self._leases)

    def open(self, lease: Lease) -> Refused | None:
        """Take a lease, until `close`.

        Returns the refusal if somebody has ended the stream meanwhile. Raises Refused if it is to be refused by what
        became known since it was judged.
        """
        with self._lock:
            self._leases.add(lease)
            if lease.name:
                self._named[_owner(lease.verified), lease.name] = lease
        try:
            if self._unwatched_seconds():
                raise Refused("VERIFICATION_UNAVAILABLE")
            self._judge(lease, lease.verified)
        except BaseException:
            if self.close(lease):
                raise
        return lease.refused

    def close(self, lease: Lease) -> bool:
        """Forget a lease. Tells whether it was there."""
        with self._lock:
            return self._forget(lease)

    def renew(self, name: str, verified: Verified, *, asked: bool) -> datetime:
        """Let the caller's own stream of this name go on with another token, if that stream's rule lets it.

        Returns when that expires. Raises Refused.
        """
        lease = self._named.get((_owner(verified), name))
        if lease is None:
            raise Refused("STREAM_UNKNOWN")
        self._guard.admit(lease.method, lease.rule, verified, asked=asked)
        with self._lock:
            if lease not in self._leases:
                raise Refused("STREAM_UNKNOWN")
            lease.verified = verified
            lease.asked_at = None
        return verified.identity.expires_at

    def review(self) -> None:
        """Judge every stream again by what is known now."""
        with self._lock:
            leases = list(self._leases)
        if self._unwatched_seconds() > UNWATCHED_SECONDS:
            self._give_up(leases)
            return
        doubtful = [lease for lease in leases if self._review(lease)]
        if doubtful and not self._is_asking:
            self._begin_asking(doubtful)

    def _unwatched_seconds(self) -> float:
        """Return for how long nobody has looked at the time for streams; 0 while somebody does."""
        return self._following.unwatched_seconds() if self._following else 0.0

    def _begin_asking(self, doubtful: list[Lease]) -> None:
        """Ask in a thread of its own. Where none can be had the next review tries again, for as long as it may take."""
        asking = threading.Thread(target=self._ask_all, args=(doubtful,), name="authclient-streams", daemon=True)
        self._is_asking = True
        try:
            asking.start()
            self._unable_since = None
        except RuntimeError:
            self._is_asking = False
            now = time.monotonic()
            self._unable_since = now if self._unable_since is None else self._unable_since
            if now - self._unable_since > ASKING_SECONDS:
                self._give_up(doubtful)

    def _review(self, lease: Lease) -> bool:
        """End a stream that is known to be over. Tells whether too little is known to let it go on."""
        judged = lease.verified
        try:
            return self._judge(lease, judged)
        except Refused as refused:
            self._end(lease, judged, refused)
            return False

    def _judge(self, lease: Lease, verified: Verified) -> bool:
        """Tell whether too little is known to let a stream go on. Raises Refused if it is known to be over."""
        limit = max(self._guard.staleness(lease.rule), LEAST_STALENESS)
        may_be_outdated = not lease.rule.judges_what_changes
        found = self._guard.trust.judge.judge(verified.token, limit, may_be_outdated=may_be_outdated)
        asked = lease.asked_at
        return isinstance(found, Ask) and (asked is None or self._monotonic() - asked > limit)

    def _ask_all(self, doubtful: list[Lease]) -> None:
        """Ask about each token once, several at a time, and end the streams that nobody vouches for in time."""
        by_token: dict[str, tuple[Verified, list[Lease]]] = {}
        for lease in doubtful:
            verified = lease.verified
            by_token.setdefault(verified.token, (verified, []))[1].append(lease)
        until = time.monotonic() + ASKING_SECONDS
        away = threading.Event()
        try:
            with ThreadPoolExecutor(ASKED_AT_ONCE, "authclient-asking") as pool:
                for verified, leases in by_token.values():
                    try:
                        pool.submit(self._ask, verified, leases, until, away)
                    except RuntimeError:  # No more threads can be had. That it may be asked twice is harmless.
                        self._ask(verified, leases, until, away)
        except Exception:
            log.exception("asking about streams failed; they are refused")
            self._give_up(doubtful)
        finally:
            self._is_asking = False

    def _ask(self, verified: Verified, leases: list[Lease], until: float, away: threading.Event) -> None:
        asked_at = self._monotonic()  # Before the question: what changes while it is answered is not in the answer.
        refused = None
        try:
            left = until - time.monotonic()
            if away.is_set() or left <= 0:  # Those that are left would only wait for the same silence.
                raise Refused("VERIFICATION_UNAVAILABLE")
            self._guard.trust.ask(Ask(verified.token, verified.known), min(left, LEAST_STALENESS))
        except Refused as error:
            refused = error
        except Exception:
            log.exception("asking about streams of %s failed; they are refused", leases[0].method)
            refused = Refused("VERIFICATION_UNAVAILABLE")
        if refused and refused.reason == "VERIFICATION_UNAVAILABLE":
            away.set()
        for lease in leases:
            if refused and (refused.reason != "TOKEN_OUTDATED" or lease.rule.judges_what_changes):
                self._end(lease, verified, refused)
                continue
            with self._lock:  # Verify says that a token is outdated only where its session is alive.
                if lease.verified.token == verified.token:
                    lease.asked_at = asked_at

    def _give_up(self, leases: list[Lease]) -> None:
        """End streams about which nobody can find out any more."""
        for lease in leases:
            self._end(lease, lease.verified, Refused("VERIFICATION_UNAVAILABLE"))

    def _end(self, lease: Lease, judged: Verified, refused: Refused) -> None:
        """End a stream whose token is refused, unless it was renewed since that was judged."""
        refused.forget_frames()
        with self._lock:
            if lease.verified.token != judged.token:
                return
            lease.refused = refused
            was_open = self._forget(lease)
        if was_open:
            lease.end(refused)
            contain(self._guard.trust.observer.refused, lease.method, refused.reason, enforced=True)

    def _forget(self, lease: Lease) -> bool:
        if lease not in self._leases:
            return False
        self._leases.remove(lease)
        if lease.name and self._named.get((_owner(lease.verified), lease.name)) is lease:
            del self._named[_owner(lease.verified), lease.name]
        return True


def _owner(verified: Verified) -> str:
    return verified.known.user_id
