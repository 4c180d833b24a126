"""A pool of threads that only wait: as many as there are calls to wait for, and few when there are few."""

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
        """Run a call."""
        with self._room_lock:
            is_extra = self._busy >= KEPT_THREADS and self._extra < MOST_THREADS - KEPT_THREADS
            if is_extra:
                self._extra += 1
            else:
                self._busy += 1
        if not is_extra:
            return super().submit(self._kept, fn, args, kwargs)
        future: Future[Any] = Future()
        threading.Thread(
            target=self._once, args=(future, fn, args, kwargs), name="authclient-waiting-extra", daemon=True
        ).start()
        return future

    def _kept(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        finally:
            with self._room_lock:
                self._busy -= 1

    def _once(self, future: "Future[Any]", fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        finally:
            with self._room_lock:
                self._extra -= 1
