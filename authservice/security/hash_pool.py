"""The bounded room in which passwords are hashed.

A bcrypt hash of cost 12 keeps one core busy for about 270 ms, so two cores do about seven a second and everything else
has to live beside them. Hence: as many threads as may be busy at once, at a lower priority than the threads that answer
other calls; a bounded queue; refusal at once when it is full; and no hash for a caller who has gone or has no time
left.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

from authservice.domain.deadline import Deadline
from authservice.domain.errors import DeadlineTooShort, Overloaded

T = TypeVar("T")

LEAST_TIME = 0.1
"""Seconds that a caller must have left for a hash to be begun."""
NICENESS = 10
"""How far hashing threads stand back behind the others (Linux counts niceness by thread)."""
HIGHEST_NICENESS = 19


class HashPool:
    """Runs hash computations. Lives as long as the process; safe for many threads.

    Args:
        threads: how many hashes may be computed at once.
        queue: how many more may wait.
        typical: what one hash costs, in seconds, for the advice in Overloaded.
        cores: where the hashes may be computed, if not only where the process is.
    """

    def __init__(self, threads: int, queue: int, typical: float = 0.3, cores: Collection[int] = ()) -> None:
        self._threads = threads
        self.capacity = threads + queue
        self._typical = typical
        self._taken = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, "hash", initializer=_settle, initargs=(cores,))
        self.computed = 0
        """How many computations were begun, for metrics and tests."""

    def run(self, compute: Callable[[], T], deadline: Deadline) -> T:
        """Return compute().

        Raises Overloaded if the queue is full, DeadlineTooShort if the caller cannot wait for it.
        """
        self._take_place()

        def guarded() -> T:
            try:
                deadline.require(LEAST_TIME)
                self.computed += 1
                return compute()
            finally:
                self._give_place()

        future = self._pool.submit(guarded)
        try:
            return future.result(max(0.0, deadline.remaining()))
        except FutureTimeout:
            if future.cancel():
                self._give_place()
            raise DeadlineTooShort from None

    def require_room(self) -> None:
        """Raise Overloaded if the queue is full."""
        with self._lock:
            self._refuse_if_full()

    def _refuse_if_full(self) -> None:
        if self._taken >= self.capacity:
            raise Overloaded(self.capacity / self._threads * self._typical)

    def _take_place(self) -> None:
        with self._lock:
            self._refuse_if_full()
            self._taken += 1

    def _give_place(self) -> None:
        with self._lock:
            self._taken -= 1

    def close(self) -> None:
        """Wait for running computations and end the threads."""
        self._pool.shutdown()


def _settle(cores: Collection[int]) -> None:
    if cores:
        with contextlib.suppress(OSError):  # They may have been taken from us since. It stays where the others are.
            os.sched_setaffinity(0, cores)
    if hasattr(os, "setpriority"):
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + NICENESS  # The process may have been started with some.
        os.setpriority(os.PRIO_PROCESS, thread, min(niceness, HIGHEST_NICENESS))
