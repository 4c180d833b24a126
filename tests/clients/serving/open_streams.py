"""Streams of a synchronous server that stay open, and handlers that wait in them."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Any

import grpc

from tests.clients.eventually import SOON
from tests.clients.guarded import STREAMS, Conversation, Guarded, Outcome, begin, ending, handler, path
from tests.clients.scripted import bearer

NAME = "stream-name-of-22-chars"


class Waiting:
    """Streaming handlers that wait for ever, for an event or for the next request."""

    def __init__(self) -> None:
        self.entered: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.released = threading.Event()
        self.told: list[Any] = []
        self.finished: list[str] = []
        self.listens = threading.Semaphore(0)

    def _wait(self, context: Any) -> None:
        context.add_callback(lambda: self.told.append(context))
        self.entered.put(context)
        self.released.wait(30)

    def unary_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield b"begun"
        self._wait(context)
        yield b"too late"

    def stream_unary(self, requests: Iterator[bytes], context: Any) -> bytes:
        self._wait(context)
        return b"too late"

    def stream_stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield b"begun"
        self._wait(context)
        yield b"too late"

    def listening(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        context.add_callback(lambda: self.told.append(context))
        self.entered.put(context)
        try:
            while True:
                self.listens.release()
                request = next(requests, None)
                if request is None:
                    break
                yield request
            self.finished.append("all was said")
        except (grpc.RpcError, GeneratorExit):
            self.finished.append("cut off")
            raise

    @property
    def handlers(self) -> dict[str, Any]:
        """By kind, and `listening`."""
        found = {kind: handler(kind, getattr(self, kind)) for kind in STREAMS}
        return found | {"listening": handler("stream_stream", self.listening)}


class Stream:
    """A call that is open, seen by its caller."""

    def __init__(
        self,
        shop: Guarded,
        kind: str,
        text: str,
        *,
        name: str | None = None,
        method: str | None = None,
        channel: Any = None,
    ) -> None:
        self.kind = kind
        self.said = Conversation(b"one")
        messages: Any = self.said if kind.startswith("stream_") else [b"one"]
        metadata = (*bearer(text), *((("authclient-stream", name),) if name else ()))
        self.call = begin(channel or shop.channel, kind, path(method or kind), messages, metadata, 60)

    def end(self) -> Outcome:
        """Wait until it is over."""
        reading = threading.Thread(target=self._read, daemon=True)  # A status comes after the answers before it.
        reading.start()
        reading.join(SOON)
        self.said.hang_up()
        assert not reading.is_alive(), "the stream is still open"
        return ending(self.call, [])

    def _read(self) -> None:
        with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
            _ = list(self.call) if self.kind.endswith("_stream") else self.call.result()

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return bool(self.call.is_active())

    def leave(self) -> None:
        """Hang up."""
        self.call.cancel()
        self.said.hang_up()


def entered(waiting: Waiting, count: int = 1) -> list[Any]:
    """Return the contexts of handlers that have begun to wait."""
    return [waiting.entered.get(timeout=SOON) for _ in range(count)]


def all_open_of(shop: Guarded, waiting: Waiting, text: str) -> list[Stream]:
    """Open a stream of each kind."""
    streams = [Stream(shop, kind, text) for kind in STREAMS]
    entered(waiting, 3)
    return streams


def all_open(shop: Guarded, waiting: Waiting, text: str) -> list[Stream]:
    """Open a stream of each kind, each of which is guarded, and no other."""
    streams = all_open_of(shop, waiting, text)
    assert shop.leases == 3
    return streams
