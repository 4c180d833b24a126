"""How lines leave a process that serves: through a bounded queue, written by one thread.

Who reads standard error may be slow, have stopped or have gone, and its file may lie on a disk that is full. A write
then takes as long as it takes, or fails. So it is done by a thread that does nothing else, and nobody waits for it.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable

MOST_BYTES = 1024 * 1024
"""What waits to be written, about 5,000 lines. What comes beyond that is dropped."""
RETRY_SECONDS = 1.0
"""Between two tries where writing fails."""
BREATH = 0.01
"""Seconds between two writes while lines keep coming: to be woken for each would cost more than to write it."""
DRAIN_SECONDS = 1.0
"""What the last lines get to leave before the process ends."""
_ATOMIC = select.PIPE_BUF
"""What the lines of other processes in the same pipe cannot get into."""


class Outlet:
    """Writes whole lines to a descriptor. Safe for many threads; belongs to the process that made it.

    Args:
        missed: makes the line that says how many were dropped. It is written as soon as anything can be written again.
    """

    def __init__(self, descriptor: int, missed: Callable[[int], str]) -> None:
        self.owner = os.getpid()
        self._descriptor = descriptor
        self._missed = missed
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._is_awake = True
        self._change = threading.Condition()
        # To pause by: time.sleep() raises where the clock is set by what stands in for one, as libfaketime does.
        self._never = threading.Event()
        threading.Thread(target=self._run, name="outlet", daemon=True).start()

    def write(self, text: str) -> None:
        """Take whole lines. Neither waits nor fails: where the queue is full they are dropped and counted."""
        line = text.encode(errors="backslashreplace")
        with self._change:
            if self._size + len(line) > MOST_BYTES:
                self._dropped += 1
                return
            self._size += len(line)
            self._lines.append(line)
            if not self._is_awake:
                self._change.notify_all()

    def flush(self) -> None:
        """Do nothing, as nobody is to wait. Whoever writes to a file calls it."""

    def drain(self, seconds: float) -> None:
        """Wait until everything has left, for some seconds at most."""
        with self._change:
            self._change.wait_for(lambda: not self._size, seconds)

    def _run(self) -> None:
        while True:
            chunk = self._take()
            self._put_out(chunk)
            if not self._has_left(chunk):
                self._never.wait(BREATH)

    def _take(self) -> bytes:
        """Wait for lines, and return as many as can be written at one stroke, one at least."""
        with self._change:
            self._is_awake = False
            self._change.wait_for(lambda: self._lines)
            self._is_awake = True
            chunk = self._lines.popleft()
            while self._lines and len(chunk) + len(self._lines[0]) <= _ATOMIC:
                chunk += self._lines.popleft()
            return chunk

    def _put_out(self, chunk: bytes) -> None:
        while chunk:
            try:
                chunk = chunk[os.write(self._descriptor, chunk) :]
            except BlockingIOError:  # Whoever shares it does not want to wait either.
                select.select((), (self._descriptor,), (), RETRY_SECONDS)
            except OSError:
                self._never.wait(RETRY_SECONDS)

    def _has_left(self, chunk: bytes) -> bool:
        """Take note of it, and tell whether there is more."""
        with self._change:
            self._size -= len(chunk)
            if self._dropped:
                notice = self._missed(self._dropped).encode()
                self._dropped = 0
                self._size += len(notice)
                self._lines.appendleft(notice)
            if not self._size:
                self._change.notify_all()
            return bool(self._lines)
