"""Streams that are open: each is judged again for as long as it lasts."""

import threading
from collections.abc import Callable
from datetime import datetime

from authclient.decisions import Ask, Verified
from authclient.guard import Guard
from authclient.observer import contain
from authclient.refusals import Refused
from authclient.rules import Rule

LEAST_STALENESS = 2.0
"""Seconds. A view is never much younger than the last heartbeat, so a stream cannot ask for less."""


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


class Leases:
    """All leases of one server. Safe for many threads."""

    def __init__(self, guard: Guard, monotonic: Callable[[], float]) -> None:
        self._guard = guard
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._leases: set[Lease] = set()
        self._named: dict[tuple[str, str], Lease] = {}
        self._is_asking = False
        guard.trust.listen(self.review)

    def __len__(self) -> int:
        return len(self._leases)

    def open(self, lease: Lease) -> None:
        """Take a lease, until `close`."""
        with self._lock:
            self._leases.add(lease)
            if lease.name:
                self._named[_owner(lease.verified), lease.name] = lease
        try:
            # What became known between the judgement and this line.
            self._review(lease)
        except BaseException:
            self.close(lease)
            raise

    def close(self, lease: Lease) -> None:
        """Forget a lease."""
        with self._lock:
            self._leases.discard(lease)
            if lease.name and self._named.get((_owner(lease.verified), lease.name)) is lease:
                del self._named[_owner(lease.verified), lease.name]

    def renew(self, name: str, verified: Verified, *, asked: bool) -> datetime:
        """Let the caller's own stream of this name go on with another token, if that stream's rule lets it.

        Returns when that expires. Raises Refused.
        """
        lease = self._named.get((_owner(verified), name))
        if lease is None:
            raise Refused("STREAM_UNKNOWN")
        self._guard.admit(lease.method, lease.rule, verified, asked=asked)
        lease.verified = verified
        lease.asked_at = None
        return verified.caller.identity.expires_at

    def review(self) -> None:
        """Judge every stream again by what is known now."""
        with self._lock:
            leases = list(self._leases)
        doubtful = [lease for lease in leases if self._review(lease)]
        if doubtful and not self._is_asking:
            self._is_asking = True
            threading.Thread(target=self._ask, args=(doubtful,), name="authclient-streams", daemon=True).start()

    def _review(self, lease: Lease) -> bool:
        """End a stream that is known to be over. Tells whether too little is known to let it go on."""
        limit = max(self._guard.staleness(lease.rule), LEAST_STALENESS)
        try:
            found = self._guard.trust.judge.judge(lease.verified.caller.token, limit)
        except Refused as refused:
            self._end(lease, refused)
            return False
        asked = lease.asked_at
        return isinstance(found, Ask) and (asked is None or self._monotonic() - asked > limit)

    def _ask(self, doubtful: list[Lease]) -> None:
        away: Refused | None = None
        try:
            for lease in doubtful:
                try:
                    if away:  # The others would only wait for the same silence.
                        raise away
                    self._guard.trust.ask(Ask(lease.verified.caller.token, lease.verified), timeout=LEAST_STALENESS)
                    lease.asked_at = self._monotonic()
                except Refused as refused:
                    away = refused if refused.reason == "VERIFICATION_UNAVAILABLE" else None
                    self._end(lease, refused)
        finally:
            self._is_asking = False

    def _end(self, lease: Lease, refused: Refused) -> None:
        self.close(lease)
        lease.end(refused)
        contain(self._guard.trust.observer.refused, lease.method, refused.reason, enforced=True)


def _owner(verified: Verified) -> str:
    return verified.caller.identity.user_id
