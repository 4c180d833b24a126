"""Whether the clock of this machine has been set while the service runs.

Two clocks that agree may both be wrong: the database's is often this machine's, and an SQLite file has no other. But
neither is set without jumping against the clock that counts the seconds since the machine started.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from authservice.domain.clocks import MOST_APART, ClockWrong, uptime


def starting_point() -> float:
    """Return when this machine started, in seconds since the epoch by its clock. It moves if the clock is set."""
    return time.time() - uptime()


@dataclass(frozen=True, slots=True)
class Steadiness:
    """Whether the clock is where it was when the service started, plus the time since.

    Args:
        began: the starting point then. Not when a worker started: one that replaces another is not to believe a clock
            that the others do not believe.
    """

    began: float
    now: Callable[[], float] = starting_point

    def require(self) -> None:
        """Raise ClockWrong if the clock was set by more than a minute and is not back."""
        jump = self.now() - self.began
        if abs(jump) > MOST_APART.total_seconds():
            raise ClockWrong(
                f"the clock of this machine was set {abs(jump):.0f} s {'forward' if jump > 0 else 'back'}; nothing "
                "expired is deleted and no key replaced until it is back; if it is right now, start this server again"
            )
