"""Threads that last: where an error ends what one does, it is logged, and done again."""

import logging
import threading
import time
from collections.abc import Callable

PAUSE_SECONDS = 0.5
"""Between an error and the next attempt, after the first one."""

log = logging.getLogger("authclient")


class LastingThread:
    """Does rounds of work until it is stopped, whatever they raise. Does not outlive a fork.

    Args:
        name: of the thread.
        work: one round. It waits by itself where there is nothing to do.
        failed: is called after a round that has failed. What it raises is logged.
    """

    def __init__(self, name: str, work: Callable[[], None], failed: Callable[[], None]) -> None:
        self.name = name
        self._work = work
        self._failed = failed
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failing_since: float | None = None

    def keep(self) -> None:
        """Begin, or begin anew where the thread has died. Raises RuntimeError where none can be had."""
        with self._lock:
            if self._stopping.is_set() or self.is_alive():
                return
            thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            thread.start()
            died, self._thread = self._thread is not None, thread
        if died:
            self._tell("has died, and is begun anew", None)

    def is_alive(self) -> bool:
        """Tell whether there is a thread."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Begin no round any more. Does not wait."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Wait for the end, for so many seconds at most. Does not, where it is this thread itself."""
        if self._thread not in (None, threading.current_thread()):
            self._thread.join(seconds)

    def failing_seconds(self) -> float:
        """Return for how long no round has come to its end; 0 while all is well, and after `stop`."""
        if self._stopping.is_set():
            return 0.0
        if not self.is_alive():
            self._failing_since = self._failing_since or time.monotonic()
        since = self._failing_since
        return 0.0 if since is None else max(time.monotonic() - since, 0.001)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
                self._failing_since = None
            except BaseException as error:  # Whatever it is: nobody would do this work in its place.
                is_first = self._failing_since is None
                self._failing_since = self._failing_since or time.monotonic()
                self._tell("has failed, and goes on", error)
                if not is_first:
                    self._stopping.wait(PAUSE_SECONDS)

    def _tell(self, what: str, error: BaseException | None) -> None:
        try:
            log.error("the thread %s %s", self.name, what, exc_info=error)
            self._failed()
        except Exception:
            log.exception("the end of the thread %s could not be told", self.name)
