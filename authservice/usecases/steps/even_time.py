"""Answering at times that do not tell what was found."""

import threading
import time

TICK = 0.01
"""Seconds. Several times what a call takes that compares nothing, and less than a person notices."""
_never = threading.Event()


def wait_for_tick(begin: float) -> None:
    """Wait until a whole number of ticks has passed since `begin`, in seconds of time.monotonic().

    To find an account takes some 50 us longer than to find none, and where no hash outweighs that, hundreds of answers
    tell the two apart: 0.60 to 0.66 of the area under the ROC curve without this wait.
    """
    # Not time.sleep(), which raises where what stands in for the clock sets it, as libfaketime does.
    _never.wait(TICK - (time.monotonic() - begin) % TICK)
