"""Waiting for a request, where no working thread is held by it.

grpc reads the request of a call in the thread that is to run the handler, and waits there for as long as the caller
likes: a server of sixteen threads is stopped by sixteen calls that never send theirs. Served as one that streams
requests, which is the same on the wire, a handler has its context before its request. So it waits in a thread that does
nothing else, and goes to a working one with the request in hand.
"""

import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from authclient._judging.observer import log
from authclient._serving.interception import Handler
from authclient._serving.sync.handlers import driver, one_answer
from authclient._serving.sync.stream import Send, Stream
from authclient._serving.sync.waiting_room import WaitingRoom

REQUEST_SECONDS = 5.0
"""How long a request may take to come, unless told otherwise."""
MOST_WAITING = 1000
"""Calls that may wait for their request at a time. One more ends the one that has waited for longest, which is none of
an honest caller's: those send their request along."""

LOOK_SECONDS = 0.25
"""Between two looks at whether anyone waits for too long, at most."""

_NONE = object()


class Patience:
    """Waits for the requests of one server's calls.

    Args:
        seconds: how long a request may take to come.
        workers: the pool that the server's handlers run in, unless they name another. None for handlers that need none:
            they run in the thread that has waited.

    Raises:
        ValueError: the time is negative.
    """

    def __init__(self, seconds: float, workers: ThreadPoolExecutor | None) -> None:
        if not seconds > 0:
            raise ValueError(f"request_patience is {seconds:g}; it must be positive, or None to leave waiting to grpc")
        self._seconds = seconds
        self._workers = workers
        self._room = WaitingRoom()
        self._lock = threading.Lock()
        self._waiting: dict[_Waiting, None] = {}  # in the order in which they came
        self._clock: threading.Thread | None = None

    def serve(self, method: str, handler: Handler) -> Handler:
        """Return what is served in the place of a handler. One that streams requests has none to wait for."""
        if handler.request_streaming:
            return handler
        behavior: Any = handler.unary_stream or handler.unary_unary
        own = getattr(behavior, "experimental_thread_pool", None)
        workers = own if isinstance(own, ThreadPoolExecutor) else self._workers

        def call(requests: Iterator[bytes], context: grpc.ServicerContext, send: Send) -> None:
            message = self._await_message(method, requests, _Waiting(context, send))
            if message is _NONE:
                return
            request = _read(message, handler.request_deserializer, context)
            stream = Stream(context, send)
            try:
                if handler.response_streaming:
                    _work(workers, driver(handler), request, context, stream)
                else:
                    # The answer is sent from here, where a caller who does not read it keeps nobody from working.
                    one_answer(lambda *both: _work(workers, behavior, *both))(request, context, stream)
            except _CallerLeft:
                return

        call.experimental_non_blocking = True  # type: ignore[attr-defined]  # grpc reads both from here
        call.experimental_thread_pool = self._room  # type: ignore[attr-defined]
        return grpc.stream_stream_rpc_method_handler(call, None, handler.response_serializer)

    def _await_message(self, method: str, requests: Iterator[bytes], waiting: "_Waiting") -> Any:
        """Return the bytes of the request, or _NONE if the call was ended meanwhile. Raises what ends it now."""
        self._enter(waiting)
        try:
            message: Any = next(requests, _NONE)
        except grpc.RpcError:  # The caller has left. grpc knows its own.
            if self._leave(waiting):
                raise
            return _NONE
        if not self._leave(waiting):
            return _NONE
        if message is _NONE:
            # As grpc says, for a call that has ended without a request.
            waiting.context.abort(grpc.StatusCode.UNIMPLEMENTED, f'"{method}" requires exactly one request message.')
        return message

    def _enter(self, waiting: "_Waiting") -> None:
        longest = None
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                longest = next(iter(self._waiting))
                del self._waiting[longest]
            waiting.until = time.monotonic() + self._seconds
            self._waiting[waiting] = None
            if self._clock is None or not self._clock.is_alive():
                clock = threading.Thread(target=self._watch, name="authclient-patience", daemon=True)
                with contextlib.suppress(RuntimeError):  # No thread can be had. The next call tries again.
                    clock.start()
                    self._clock = clock
        if longest:
            longest.end(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many calls wait for their requests. Try again.")

    def _leave(self, waiting: "_Waiting") -> bool:
        """Note that a call waits no more. Tells whether it still did: whoever takes it out has the last word."""
        with self._lock:
            return self._waiting.pop(waiting, _NONE) is not _NONE

    def _watch(self) -> None:
        """End the calls whose time is over. Runs for as long as there are any that wait."""
        while True:
            with self._lock:
                longest = next(iter(self._waiting), None)
                if longest is None:
                    self._clock = None
                    return
                left = longest.until - time.monotonic()
                if left <= 0:
                    del self._waiting[longest]
            if left > 0:
                time.sleep(min(left, LOOK_SECONDS))
                continue
            longest.end(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"The request did not come within {self._seconds:g} seconds of the call. Send it along with the call.",
            )


class _Waiting:
    """A call that waits for its request."""

    def __init__(self, context: grpc.ServicerContext, send: Send) -> None:
        self.context = context
        self.until = 0.0
        self._send = send

    def end(self, code: grpc.StatusCode, details: str) -> None:
        """End the call. Does not wait."""
        try:
            self.context.set_code(code)
            self.context.set_details(details)
            if self.context.is_active():
                self._send(None)
        except Exception:
            log.exception("a call that waited for its request could not be ended")


class _CallerLeft(Exception):
    """The caller has left before a worker had time."""


def _read(message: bytes, deserializer: Callable[[bytes], Any] | None, context: grpc.ServicerContext) -> Any:
    """Return the request. Ends the call as grpc does if it is none."""
    request: Any = None
    try:
        request = message if deserializer is None else deserializer(message)
    except Exception:
        log.debug("a request could not be read", exc_info=True)
    if request is None:
        context.abort(grpc.StatusCode.INTERNAL, "Exception deserializing request!")
    return request


def _work(
    workers: ThreadPoolExecutor | None, behavior: Callable[..., Any], request: Any, context: Any, *more: Any
) -> Any:
    """Return what a handler returns, in a thread of the workers. Raises what it raises, and _CallerLeft."""

    def work() -> Any:
        if not context.is_active():
            raise _CallerLeft
        return behavior(request, context, *more)

    if workers is None:
        return work()
    return workers.submit(contextvars.copy_context().run, work).result()
