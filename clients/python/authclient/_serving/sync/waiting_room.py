"""A pool of threads that only wait: as many as there are calls to wait for, and few when there are few."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

KEPT_THREADS = 64
"""Threads that stay when a call is over. One more costs some 50 µs and goes with its call."""
MOST_THREADS = 2048
"""Threads at most. Calls beyond stand in line for one of those that stay."""


class WaitingRoom(ThreadPoolExecutor):
    """Runs each call at once, in a thread of its own if need be. grpc takes no executor of another class."""

    def __init__(self) -> None:
        super().__init__(KEPT_THREADS, "authclient-waiting")
        self._room_lock = threading.Lock()
        self._busy = 0
        self._extra = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run a call. Where no thread can be had it stands in line too: grpc's serving thread would end of an error."""
        future: Future[Any] = Future()
        with self._room_lock:
            is_extra = self._busy >= KEPT_THREADS and self._extra < MOST_THREADS - KEPT_THREADS
            if is_extra:
                self._extra += 1
            else:
                self._busy += 1
        if is_extra and self._begin_once(future, fn, args, kwargs):
            return future
        with contextlib.suppress(RuntimeError):  # It is in line by now, for the next thread that there is.
            super().submit(self._kept, future, fn, args, kwargs)
        return future

    def _begin_once(self, *work: Any) -> bool:
        """Run a call in a thread that ends with it. Tells whether there is one."""
        thread = threading.Thread(target=self._once, args=work, name="authclient-waiting-extra", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            with self._room_lock:
                self._extra -= 1
                self._busy += 1
            return False
        return True

    def _kept(self, *work: Any) -> None:
        try:
            _run(*work)
        finally:
            with self._room_lock:
                self._busy -= 1

    def _once(self, *work: Any) -> None:
        try:
            _run(*work)
        finally:
            with self._room_lock:
                self._extra -= 1


def _run(future: "Future[Any]", fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
    try:
        future.set_result(fn(*args, **kwargs))
    except BaseException as error:
        future.set_exception(error)
