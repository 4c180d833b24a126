"""Signals as something to be read, so that one that comes just before a wait ends that wait.

A handler in Python runs between two instructions: a signal that comes after the last of them and before the system call
that waits would be heeded only when that returns. The interpreter writes the number of each signal into a pipe at once,
and whoever waits for the pipe misses none.
"""

import os
import signal
import threading
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """The signals of some kinds that come to this process from now on. One at a time; lives as long as the process."""

    def __init__(self, *kinds: signal.Signals) -> None:
        self._read, write = os.pipe()
        for end in (self._read, write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for kind in kinds:
            signal.signal(kind, _is_read_elsewhere)

    def fileno(self) -> int:
        """Return what `select` can wait for."""
        return self._read

    def take(self) -> set[int]:
        """Return which have come since this was last asked. Does not wait."""
        try:
            return set(os.read(self._read, 65536))
        except BlockingIOError:
            return set()


def _is_read_elsewhere(_signum: int, _frame: object) -> None:
    pass


class Hangups:
    """What a worker does at SIGHUP. One that comes before it is known what that is, is made up for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heed: Callable[[], None] | None = None
        self._is_missed = False

    def heed(self, do: Callable[[], None]) -> None:
        """Do this at each from now on."""
        with self._lock:
            self._heed = do
            if self._is_missed:
                do()

    def come(self) -> None:
        """Take note of one."""
        with self._lock:
            if self._heed:
                self._heed()
            else:
                self._is_missed = True
