"""Streams whose handler another interceptor wraps: it runs in a thread of its own, and what waits for it can be ended.

Where grpc calls a handler itself, any thread can finish the stream (see stream.py). Where others stand between, a
stream ends only by what the handler returns or raises, in the thread that they call it in. So that one only waits.
"""

import contextlib
import contextvars
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from authclient._serving.gate import abort
from authclient._serving.interception import Handler, behavior_of
from authclient._serving.sync.stream import StreamContext, requests_while_open
from authclient._wire.refusals import Refused

Result = TypeVar("Result")


class Apart:
    """Runs the handler of one stream. The thread is there until `close`, or as long as the handler is at work then.

    Raises RuntimeError if the process may start no more threads.
    """

    def __init__(self, context: grpc.ServicerContext) -> None:
        self.lock = threading.RLock()
        self.refused: Refused | None = None
        self._context = context
        self._wanted: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[tuple[Any, BaseException | None] | None] = queue.SimpleQueue()
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._work,), name="guarded-handler", daemon=True).start()

    def do(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns in that thread. Raises what it raises; aborts the call if that is refused."""
        told = None
        if self.refused is None:
            self._wanted.put(work)
            told = self._told.get()
        if told is None:
            assert self.refused
            abort(self._context, self.refused)
        result, error = told
        if error:
            raise error
        return result  # type: ignore[no-any-return]

    def refuse(self, refused: Refused) -> None:
        """End the stream, whatever the handler is doing. Does not wait."""
        with self.lock:
            self.refused = refused
        self._told.put(None)

    @contextlib.contextmanager
    def closed_by_errors(self) -> Iterator[None]:
        """Close where the block raises anything."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self, last: Callable[[], Any] | None = None) -> None:
        """Do nothing more than this, once the handler is done with what it does. Does not wait."""
        if last:
            self._wanted.put(last)
        self._wanted.put(None)

    def _work(self) -> None:
        while (work := self._wanted.get()) is not None:
            try:
                self._told.put((work(), None))
            except BaseException as error:
                self._told.put((None, error))


def run_apart(handler: Handler, request: Any, context: Any, apart: Apart) -> Any:
    """Return what a handler of a stream returns, run apart: its answer, or an iterator of its answers."""
    behavior = behavior_of(handler)
    requests = requests_while_open(request, apart) if handler.request_streaming else request
    result = apart.do(lambda: behavior(requests, StreamContext(context, apart)))
    if not handler.response_streaming:
        apart.close()
        return result
    answers = _each(result, apart)
    weakref.finalize(answers, apart.close).atexit = False  # Nobody may ever ask for the first of them.
    return answers


def _each(answers: Any, apart: Apart) -> Iterator[Any]:
    try:
        # By `next` alone, as grpc does it: what a handler returns need not be iterable.
        while (answer := apart.do(lambda: next(answers, None))) is not None:
            yield answer
    finally:
        apart.close(getattr(answers, "close", None))
