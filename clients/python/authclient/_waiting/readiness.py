"""Whether there was a complete view yet, for threads and event loops to wait for."""

import asyncio
import threading

from authclient._waiting.wakeup import Wakeup


class Readiness:
    """Comes true once and stays so."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._waiting: set[Wakeup] = set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def announce(self) -> None:
        """Make it true, and wake those who wait."""
        self._event.set()
        for wakeup in list(self._waiting):
            wakeup()

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
