"""What is expected of clocks, and the one that never jumps."""

import functools
import time
from collections.abc import Callable
from datetime import timedelta

MOST_APART = timedelta(seconds=60)
"""How far two clocks that should agree may be apart. Verifiers allow for half of it."""

uptime: Callable[[], float] = (
    functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Seconds since this machine started, whatever its clock is set to, and also while it sleeps."""


class ClockWrong(Exception):
    """The time is not known well enough to judge or to delete by it. The text says why, and what to do."""


def apart(seconds: float) -> str:
    """Return in words how far a clock is from another, whose name follows."""
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
