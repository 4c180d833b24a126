"""Open streams of a synchronous server, which can be refused while their handler is at work."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

import grpc

from authclient._wire.refusals import Refused

Send: TypeAlias = Callable[[Any], None]


class StreamRefused(grpc.RpcError):
    """The stream of a handler was refused while the handler was at work. Whatever it does now reaches nobody."""


class Refusable(Protocol):
    """A stream that may be refused at any time."""

    lock: "threading.RLock"
    refused: Refused | None


class Stream:
    """An open stream. Whoever finishes it first, the handler or the interceptor, has the last word."""

    def __init__(self, context: grpc.ServicerContext, send: Send) -> None:
        self.context = context
        self.lock = threading.RLock()
        self.refused: Refused | None = None
        self._send = send
        self._is_finished = False

    def send(self, answer: Any) -> bool:
        """Send an answer. Tells whether more can be sent."""
        self._send(answer)
        return self.context.is_active()

    def finish(self) -> None:
        """Say that there are no more answers."""
        with self.lock:
            # Not active: an answer could not be written, and grpc has ended the call.
            if not self._is_finished and self.context.is_active():
                self._send(None)
            self._is_finished = True

    def refuse(self, refused: Refused) -> None:
        """Finish with a refusal, whatever the handler is doing."""
        code, details, trailing_metadata = refused.code, refused.details, refused.trailing_metadata
        with self.lock:
            if not self._is_finished and self.context.is_active():
                self.refused = refused
                self.context.set_code(code)
                self.context.set_details(details)
                self.context.set_trailing_metadata(trailing_metadata)
                self._send(None)
            self._is_finished = True

    def run(self, work: Callable[[], None]) -> None:
        """Run the handler. What it raises after the stream was refused concerns nobody."""
        try:
            work()
        except BaseException:
            with self.lock:
                if self.refused is None:
                    self._is_finished = True
                    raise


class StreamContext:
    """The context of a handler whose stream may be refused meanwhile. Then it has no say any more in how that ends."""

    def __init__(self, context: grpc.ServicerContext, stream: Refusable) -> None:
        self._context = context
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._context, name)
        return self._while_open(found) if name in _ENDINGS else found

    def _while_open(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **named: Any) -> Any:
            with self._stream.lock:
                if self._stream.refused:
                    raise StreamRefused(self._stream.refused.reason)
                return call(*arguments, **named)

        return guarded


_ENDINGS = frozenset({"abort", "abort_with_status", "set_code", "set_details", "set_trailing_metadata"})
grpc.ServicerContext.register(StreamContext)


def requests_while_open(requests: Iterator[Any], stream: Refusable) -> Iterator[Any]:
    """Yield the requests. Ends by StreamRefused and not as if the caller were done, where the stream was refused."""
    yield from requests
    if stream.refused:
        raise StreamRefused(stream.refused.reason)
