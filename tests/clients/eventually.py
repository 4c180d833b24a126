"""Waiting for what has to happen."""

import threading
import time
from collections.abc import Callable

SOON = 10.0
"""Seconds within which a thing that should happen has to happen. Far more than it takes."""


def eventually(condition: Callable[[], object], what: str, seconds: float = SOON) -> None:
    """Return as soon as the condition holds; fail if it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.002)  # The pace of asking, not a guess at how long it takes.


def asking_threads() -> list[threading.Thread]:
    """Return the threads that ask about open streams."""
    return [thread for thread in threading.enumerate() if thread.name == "authclient-streams"]
