"""A connection to one server that is replaced when it says nothing any more."""

import threading
import time
from collections.abc import Callable, Collection

import grpc

ANOTHER_AFTER = 5.0
"""Seconds after which a channel that says nothing gets another one beside it."""
MOST_WAYS = 4
"""Channels at a time: each has `channels.CONNECT_SECONDS` to come about."""
CLOSE_SECONDS = 5.0
"""How long `close` waits for the end of each channel."""


class Connection:
    """The channel to a server that is in use, and others that are tried while it is silent.

    grpc would stay with a connection that has died without a word until TCP gives it up, after 15 minutes. And where an
    attempt to connect was begun before there was a way, it may be long before it is tried again. So there is a new one
    every few seconds, while the earlier ones go on. Changed by one thread, used by any.

    Args:
        channel: the first one.
        open_another: opens one that shares no connection with the first. None for a channel that is somebody else's: it
            is never replaced and never closed.
    """

    def __init__(self, channel: grpc.Channel, open_another: Callable[[], grpc.Channel] | None = None) -> None:
        self.channel = channel
        """The one to use."""
        self.is_closed = False
        self._open_another = open_another
        self._opened_at = time.monotonic()
        self._ways = [channel]
        self._left: grpc.Channel | None = None

    @property
    def ways(self) -> tuple[grpc.Channel, ...]:
        """Every channel over which the server may be reached, the newest last."""
        return tuple(self._ways)

    def widen(self) -> None:
        """Open another channel beside those that are silent, unless the newest is still young."""
        now = time.monotonic()
        if self._open_another is None or now - self._opened_at < ANOTHER_AFTER:
            return
        self._opened_at = now
        self._ways.append(self._open_another())
        if len(self._ways) > MOST_WAYS:
            self._drop(self._ways.pop(0))
            self.channel = self._ways[0]

    def settle(self, channel: grpc.Channel) -> None:
        """Use this way from now on, and give up the others."""
        others = [way for way in self._ways if way is not channel]
        self._ways = [channel]
        for way in others:
            self._drop(way)
        self.channel = channel

    def forsake(self, channels: Collection[grpc.Channel]) -> None:
        """Leave channels on which no call ends, and do not close them, as that would have no end either."""
        if self._open_another is None:
            return
        self._opened_at = time.monotonic()
        self._ways = [way for way in self._ways if way not in channels] or [self._open_another()]
        if self.channel in channels:
            self.channel = self._ways[0]

    def _drop(self, way: grpc.Channel) -> None:
        """Close a way. The one in use is closed with the next of its kind: other threads have calls on it."""
        closing: grpc.Channel | None = way
        if way is self.channel:
            closing, self._left = self._left, way
        if closing:
            _begin_closing(closing)

    def close(self) -> None:
        """Close every channel."""
        if self._open_another is not None:
            self.is_closed = True
            closing = [_begin_closing(way) for way in (self._left, *self._ways) if way]
            for thread in filter(None, closing):
                thread.join(CLOSE_SECONDS)


def _begin_closing(channel: grpc.Channel) -> threading.Thread | None:
    """Close a channel in a thread of its own, and return that.

    Where grpc could not start its own thread for a channel, because the process has too many, closing it has no end.
    See `forsake` for those that are known.
    """
    closing = threading.Thread(target=channel.close, name="authclient-closing", daemon=True)
    try:
        closing.start()
    except RuntimeError:  # There is none for this either. It is left as it is.
        return None
    return closing
