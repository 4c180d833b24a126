"""What a task waits for and any thread may announce."""

import asyncio
import contextlib


class Wakeup:
    """Wakes one task of an event loop. Make it in that loop; call it from anywhere, as often as you like."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._announced: asyncio.Future[None] = self._loop.create_future()

    def __call__(self, _cause: object = None) -> None:
        with contextlib.suppress(RuntimeError):  # The loop may be closed by now.
            self._loop.call_soon_threadsafe(self._announce)

    async def wait(self) -> None:
        """Wait for the call."""
        await self._announced

    def _announce(self) -> None:
        if not self._announced.done():
            self._announced.set_result(None)
