"""Whether there was a complete view yet, for threads and event loops to wait for."""

import asyncio
import threading
import time

from authclient._waiting.wakeup import Wakeup


class Readiness:
    """Comes true once and stays so."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._waiting: set[Wakeup] = set()
        self._awaited_since: float | None = None

    def __bool__(self) -> bool:
        return self._event.is_set()

    def announce(self) -> None:
        """Make it true, and wake those who wait."""
        self._event.set()
        for wakeup in list(self._waiting):
            wakeup()

    def left(self, seconds: float) -> float:
        """Return how much is left of a time that all who wait share: it begins with the first who asks."""
        now = time.monotonic()
        if self._awaited_since is None:
            self._awaited_since = now
        return max(0.0, self._awaited_since + seconds - now)

    def wait(self, timeout: float) -> bool:
        """Wait for so many seconds at most. Tells whether it is true then."""
        return self._event.wait(timeout)

    async def wait_async(self, timeout: float) -> bool:
        """As `wait`, for asyncio."""
        wakeup = Wakeup()
        self._waiting.add(wakeup)
        try:
            if not self:  # Asked only now: an announcement from here on is not missed.
                await asyncio.wait_for(wakeup.wait(), timeout)
        except asyncio.TimeoutError:  # Another one than the built-in one before Python 3.11.
            pass
        finally:
            self._waiting.discard(wakeup)
        return bool(self)
