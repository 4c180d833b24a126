"""The way to a server that may have to be replaced: a connection can die without a word.

A proxy or a firewall that has forgotten a connection swallows what is sent over it. TCP gives up after a quarter of an
hour, and until then a channel goes on with that connection. Another channel has to take its place, which shares no
connection with it.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Channel = TypeVar("Channel")
"""grpc.Channel or grpc.aio.Channel."""


class Line(Generic[Channel]):
    """The channel in use. For many threads, or the tasks of one event loop.

    Args:
        channel: the first one.
        open_anew: opens another one to the same place, which shares no connection with any. None where the channel
            is somebody else's: it is never replaced.
        hang_up: closes a channel that was replaced. It must not wait.
    """

    def __init__(
        self,
        channel: Channel,
        open_anew: Callable[[], Channel] | None = None,
        hang_up: Callable[[Channel], object] = lambda _: None,
    ) -> None:
        self._lock = threading.Lock()
        self._open_anew = open_anew
        self._hang_up = hang_up
        self._channel = channel
        self._calls = {channel: 0}
        """How many are under way over each channel that is open."""

    @contextlib.contextmanager
    def use(self) -> Iterator[Channel]:
        """Yield the channel in use. It stays open until the block ends, even if it is replaced meanwhile."""
        with self._lock:
            channel = self._channel
            self._calls[channel] += 1
        try:
            yield channel
        finally:
            with self._lock:
                self._calls[channel] -= 1
            self._hang_up_if_over(channel)

    def replace(self, silent: Channel) -> None:
        """Use another channel from now on, if this is the one in use: somebody else may have been there before."""
        with self._lock:
            if self._open_anew is None or silent is not self._channel:
                return
            self._channel = self._open_anew()
            self._calls[self._channel] = 0
        self._hang_up_if_over(silent)

    def close(self) -> list[Channel]:
        """Replace no channel any more. Returns those that are open, to be closed."""
        with self._lock:
            self._open_anew = None
            return list(self._calls)

    def _hang_up_if_over(self, channel: Channel) -> None:
        """Close a channel that was replaced, unless something is under way over it."""
        with self._lock:
            if channel is self._channel or self._calls.get(channel) != 0:
                return
            del self._calls[channel]
        self._hang_up(channel)
