"""How long a caller is still willing to wait."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from authservice.domain.errors import DeadlineTooShort


def _never_gone() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment after which nobody reads the answer. Lives as long as one call.

    Measured on the monotonic clock, so that a clock that is set does not shorten or stretch a call.

    Args:
        at: reading of time.monotonic() at the deadline, in seconds.
        caller_gone: answers whether the caller has cancelled or hung up.
    """

    at: float
    caller_gone: Callable[[], bool] = _never_gone

    @classmethod
    def after(cls, seconds: float, caller_gone: Callable[[], bool] = _never_gone) -> "Deadline":
        """Return the deadline that is `seconds` away."""
        return cls(time.monotonic() + seconds, caller_gone)

    def remaining(self) -> float:
        """Return the seconds left, negative if it has passed."""
        return self.at - time.monotonic()

    def require(self, seconds: float) -> None:
        """Raise DeadlineTooShort unless the caller is still there and `seconds` are left."""
        if self.remaining() < seconds or self.caller_gone():
            raise DeadlineTooShort
