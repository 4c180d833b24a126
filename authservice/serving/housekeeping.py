"""What a server does between calls: look after keys, expired rows and its own health."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from authservice.serving.outages import Outages

RETRY_PERIOD = 5.0
"""Seconds after which a rare chore is tried again that went wrong. Word that a database is back waits for it."""


@dataclass(slots=True)
class Chore:
    """Something to do every `period` seconds. What goes wrong is told (see outages.py) and tried again.

    It is tried after a period, or after RETRY_PERIOD if that is sooner.
    """

    name: str
    period: float
    do: Callable[[], object]
    next_at: float = field(default=0.0)


class Housekeeping:
    """Runs chores in one background thread, each for the first time at once. Lives from `start` to `stop`.

    Args:
        breath: seconds between two rounds at least, however often it is woken.
        outages: those of the process, if others tell of them too.
    """

    def __init__(self, chores: list[Chore], breath: float = 0.0, outages: Outages | None = None) -> None:
        self._chores = chores
        self._outages = outages or Outages()
        self._breath = breath
        self._stopping = threading.Event()
        self._waking = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the chore at hand and end."""
        self._stopping.set()
        self._waking.set()
        self._thread.join()

    def wake(self) -> None:
        """Do every chore now."""
        for chore in self._chores:
            chore.next_at = 0.0
        self._waking.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for chore in self._chores:
                if time.monotonic() >= chore.next_at and not self._stopping.is_set():
                    self._do(chore)
            self._stopping.wait(self._breath)
            due = min(chore.next_at for chore in self._chores)
            self._waking.wait(max(0.0, due - time.monotonic()))
            # Before it is asked what to do: cleared afterwards, the word of a stop that came in between would be lost.
            self._waking.clear()

    def _do(self, chore: Chore) -> None:
        chore.next_at = math.inf  # Who wakes it while it is being done, wants it done again.
        pause = chore.period
        try:
            chore.do()
        except Exception as error:
            pause = min(pause, RETRY_PERIOD)
            self._outages.met(chore.name, error)
        else:
            self._outages.over(chore.name)
        chore.next_at = min(chore.next_at, time.monotonic() + pause)
