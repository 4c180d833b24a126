"""Where calls come in: no thread is held by a caller whose request is not there yet, or who does not read the answer.

A call is open from its headers until its answer has left. Until its request is there it costs memory and nothing else,
and only for as long as the patience; from then on it counts as one that is worked on, until it is answered.
"""

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import structlog

from authservice.transport.entrance.grpcio import Call, Handler, in_pool, received_first
from authservice.transport.entrance.line import Line, Together
from authservice.transport.memory import give_back

log = structlog.get_logger()

TICK_SECONDS = 0.1
MANY = 1 / 64
"""The part of all places that makes a connection, or a host, one with many."""
FLOOD = 500
"""Calls at once after which memory is given back when most of them are over."""
STREAM_THREADS = 4
"""For methods of several requests. Of ours that is reflection alone, which takes milliseconds and is for people."""
NEVER = 10 * 365 * 86400.0
"""Seconds. A deadline further away than this is none."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How much an entrance lets in, and how it says no. Times are in seconds.

    Args:
        most_working: calls whose request is there and whose answer is not.
        most_open: calls of any kind. Beyond, the connection or host that keeps the most waiting loses its oldest.
        request_patience: how long a request may take to come.
        answer_patience: how long an answer may be left unread.
        stream_patience: how long a call may last that reads one request after another, and so holds a thread.
        default_time: what a call has that brings no deadline.
        longest_time: what a call has that brings a longer one.
    """

    overloaded: grpc.Status
    request_missing: grpc.Status
    too_late: grpc.Status
    stopping: grpc.Status
    unforeseen: Callable[[str], grpc.Status]
    most_working: int
    most_open: int = 4096
    request_patience: float = 5.0
    answer_patience: float = 10.0
    stream_patience: float = 30.0
    default_time: float = 10.0
    longest_time: float = 300.0


def _connection(call: Call) -> str:
    return call.peer


def _host(call: Call) -> str:
    return call.peer.rpartition(":")[0]


def _everybody(_: Call) -> str:
    return "everybody"


class Entrance(grpc.ServerInterceptor):
    """Lets calls in one by one. Lives as long as the server; has to be its first interceptor.

    What the interceptors behind it make of a method must be the same for every call.

    Args:
        pool: runs the handlers that name no pool of their own.
        together: the methods whose calls are answered together, by full name. What the interceptors behind make of
            those is used for calls alone that are not taken there.
    """

    def __init__(self, pool: ThreadPoolExecutor, together: Mapping[str, Together], terms: Terms) -> None:
        self._pool = pool
        self._terms = terms
        self._lines = {method: Line(method, way, terms.unforeseen, self._finished) for method, way in together.items()}
        self._served: dict[str, Handler] = {}
        # Each in the order of arrival. Changed by one step of the interpreter at a time, so that no lock is needed.
        self._open: dict[Call, None] = {}
        self._working: dict[Call, None] = {}
        self._streams: dict[grpc.ServicerContext, float] = {}
        self._stream_pool = ThreadPoolExecutor(STREAM_THREADS, "stream")
        self._given_up: Counter[str] = Counter()  # Per connection or host, since the last tick.
        self._is_closing = threading.Event()
        threading.Thread(target=self._tick, name="entrance", daemon=True).start()

    @property
    def open_calls(self) -> int:
        """How many calls there are, whatever has come of them. Streams that were let in do not count."""
        return len(self._open)

    @property
    def working_calls(self) -> int:
        """How many calls have a request and no answer."""
        return len(self._working)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Handler | None"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return what begins to receive a call. Runs on the serving thread."""
        method = handler_call_details.method
        served = self._served.get(method)
        if served is None:
            handler = continuation(handler_call_details)
            if handler is None:
                return None
            served = self._served[method] = (
                in_pool(handler, self._stream_pool, self._noted)
                if handler.request_streaming
                else received_first(handler, self._begun, self._way(method, handler))
            )
        return served

    def await_idle(self, until: float) -> None:
        """Refuse whoever has not sent a request, and return when all the others are answered or time is up."""
        self._refuse_unfinished(-1.0, self._terms.stopping)
        while self._working and (left := until - time.monotonic()) > 0:
            for line in self._lines.values():
                line.await_idle(left)
            self._is_closing.wait(min(left, 0.01))  # For those in pools.

    def close(self) -> None:
        """End the threads."""
        self._is_closing.set()
        self._stream_pool.shutdown(wait=False, cancel_futures=True)
        for line in self._lines.values():
            line.close()

    def _way(self, method: str, handler: Handler) -> Callable[[Call], None]:
        if line := self._lines.get(method):
            return functools.partial(self._into_line, line)
        return self._stream_into_pool if handler.response_streaming else self._into_pool

    def _noted(self, behavior: Callable[..., Any]) -> Callable[..., Any]:
        """Return a handler of several requests that is known to the clock while it runs."""

        def serve(requests: Any, context: grpc.ServicerContext) -> Any:
            self._streams[context] = time.monotonic()
            context.add_callback(lambda: self._ended(context))
            return behavior(requests, context)

        return serve

    def _ended(self, context: grpc.ServicerContext) -> None:
        self._streams.pop(context, None)

    def _begun(self, call: Call) -> None:
        self._open[call] = None
        call.when_closed(lambda: self._open.pop(call, None))
        if len(self._open) > self._terms.most_open:
            self._make_room()

    def _into_line(self, line: Line, call: Call) -> None:
        if not line.takes(call):
            self._into_pool(call)
        elif self._admit(call):
            left = call.remaining()
            terms = self._terms
            call.until = call.since + (terms.default_time if left > NEVER else min(left, terms.longest_time))
            line.put(call)

    def _into_pool(self, call: Call) -> None:
        if self._admit(call):
            call.run_in(self._pool, self._finished)

    def _stream_into_pool(self, call: Call) -> None:
        if self._admit(call):
            self._open.pop(call, None)  # How long a stream goes on unread is for its servicer to say.
            call.run_in(self._pool, self._finished)

    def _admit(self, call: Call) -> bool:
        if len(self._working) >= self._terms.most_working:
            call.refuse(self._terms.overloaded)
            return False
        self._working[call] = None
        return True

    def _finished(self, call: Call) -> None:
        self._working.pop(call, None)

    def _make_room(self) -> None:
        """Let go of calls that wait for their caller: to send the request, or to read the answer.

        The older half goes of the connection that has the most of those, if it has many, else of the host, else of all.
        So many connections are of no use to those who take all places, and a look at all calls makes room for many.
        """
        waiting = {call: since for call in list(self._open) if (since := call.waits_since) is not None}
        for share_of in (_connection, _host, _everybody):
            ((fullest, count),) = Counter(map(share_of, waiting)).most_common(1) or [("", 0)]
            if count >= self._terms.most_open * MANY:
                break
        of_fullest = sorted((call for call in waiting if share_of(call) == fullest), key=waiting.__getitem__)
        for call in of_fullest[: (count + 1) // 2]:
            self._give_up(call)
            self._given_up[fullest] += 1

    def _give_up(self, call: Call) -> None:
        if call.ended_at is None:
            call.refuse(self._terms.overloaded)
        else:
            call.cancel()
            self._open.pop(call, None)

    def _tick(self) -> None:
        most_lately = 0
        while not self._is_closing.wait(TICK_SECONDS):
            now = time.monotonic()
            most_lately = max(most_lately, len(self._open))
            if most_lately >= FLOOD and len(self._open) < most_lately / 10:
                most_lately = 0
                give_back()
            self._refuse_unfinished(self._terms.request_patience, self._terms.request_missing)
            self._drop_unread(now)
            self._report()
            for context, since in list(self._streams.items()):
                if since < now - self._terms.stream_patience:
                    context.cancel()
            for line in self._lines.values():
                line.refuse_late(now, self._terms.too_late)

    def _report(self) -> None:
        given_up, self._given_up = self._given_up, Counter()
        for whose, count in given_up.items():
            log.warning("calls_given_up", of=whose, count=count)

    def _refuse_unfinished(self, patience: float, status: grpc.Status) -> None:
        """Refuse calls whose request has not come for longer than `patience`."""
        oldest = time.monotonic() - patience
        for call in list(self._open):
            if call.since > oldest:
                break
            if call.message is None and call.ended_at is None:
                call.refuse(status)

    def _drop_unread(self, now: float) -> None:
        for call in list(self._open):
            if call.since > now - self._terms.answer_patience:
                break
            if call.ended_at is not None and call.ended_at < now - self._terms.answer_patience:
                call.cancel()
