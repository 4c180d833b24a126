"""Whether it is worth waiting for Verify: who waits holds a thread of a server, which others may need."""

import threading
import time

ANSWER_SECONDS = 2.5
"""How long a question waits if nothing is heard of the service meanwhile. A living one is heard every second, and on a
machine that has too much to do a second later."""
LATE_SECONDS = 4.0
"""How long Verify may answer nobody who asks, whatever else is heard, before it counts as one that does not."""
TRIAL_SECONDS = 0.5
"""How long a question waits where the one before was given up."""
TRIAL_PERIOD = 1.0
"""Between two such questions."""


class Hearing:
    """What is known of the service's voice: whether it was heard, and whether Verify answers. Safe for many threads.

    Once a question was given up, nobody waits any more until there is an answer again. One question a second is asked
    all the same, and the others are not.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard_at = self._answered_at = self._asked_at = self._in_vain_since = time.monotonic()
        self._trial_at: float | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the last question was given up."""
        return self._trial_at is not None

    def heard(self) -> None:
        """Note that the service has said anything."""
        self._heard_at = time.monotonic()

    def answered(self) -> None:
        """Note that it answers questions."""
        with self._lock:
            self._heard_at = self._answered_at = time.monotonic()
            self._trial_at = None

    def is_heard_since(self, moment: float) -> bool:
        """Tell whether anything was heard since then."""
        return self._heard_at > moment

    def patience(self) -> float:
        """Return how many seconds the next question may wait for a sign of life; 0 if it is not to be asked."""
        with self._lock:
            now = time.monotonic()
            if self._in_vain_since <= self._answered_at or now - self._asked_at > LATE_SECONDS:
                self._in_vain_since = now
            self._asked_at = now
            if self._trial_at is None:
                return ANSWER_SECONDS
            if now < self._trial_at:
                return 0.0
            self._trial_at = now + TRIAL_PERIOD
            return TRIAL_SECONDS

    def missed(self) -> None:
        """Note that a question was given up."""
        with self._lock:
            now = time.monotonic()
            is_silent = now - self._heard_at >= ANSWER_SECONDS
            is_late = now - max(self._answered_at, self._in_vain_since) >= LATE_SECONDS
            if self._trial_at is None and (is_silent or is_late):
                self._trial_at = now + TRIAL_PERIOD
