"""Synchronous streaming handlers on an asyncio server: each in a thread of its own, with the context that it expects.

A thread that waits cannot be interrupted. In a pool, the handlers of streams that were ended would keep their places
there, and the process from exiting.
"""

import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterator
from typing import Any

import grpc

from authclient._waiting.wakeup import Wakeup

_END = object()
LOOK_SECONDS = 1.0
"""Between two looks of a waiting thread at whether the event loop is closed."""


class StreamOver(Exception):
    """Nobody waits for what a handler does any more."""


class BlockingContext:
    """What a synchronous handler may ask of its call, over the context of an asyncio server."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._is_over = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def end(self) -> None:
        """Note that the call is over."""
        self._is_over = True

    def is_active(self) -> bool:
        """Tell whether the caller is still there."""
        return not (self._is_over or self._context.done())

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Call `callback` when the call ends. Tells whether it still can."""
        if not self.is_active():
            return False
        self._loop.call_soon_threadsafe(self._context.add_done_callback, lambda _: callback())
        return True

    def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> None:
        """End the call, at once and for good."""
        self.wait(lambda: self._context.abort(code, details, tuple(trailing_metadata)))

    def abort_with_status(self, status: Any) -> None:
        """End the call, at once and for good."""
        self.wait(lambda: self._context.abort_with_status(status))

    def send_initial_metadata(self, metadata: Any) -> None:
        """Send the metadata now."""
        self.wait(lambda: self._context.send_initial_metadata(metadata))

    def wait(self, begin: Callable[[], Awaitable[Any]]) -> Any:
        """Return what comes of work on the event loop. Raises what it raises, and StreamOver."""
        if self._is_over:
            raise StreamOver

        async def work() -> Any:
            return await begin()

        working = work()
        try:
            future = asyncio.run_coroutine_threadsafe(working, self._loop)
        except RuntimeError:  # The loop is closed.
            working.close()
            raise StreamOver from None
        while not future.done() and not self._loop.is_closed():  # A loop that is closed tells nobody.
            concurrent.futures.wait([future], LOOK_SECONDS)
        if not future.done():
            working.close()
            raise StreamOver
        return future.result()


grpc.ServicerContext.register(BlockingContext)


def blocking_iterator(messages: AsyncIterable[Any], context: BlockingContext) -> Iterator[Any]:
    """Return an iterator over the requests for another thread."""
    requests = aiter(messages)
    while (request := context.wait(lambda: anext(requests, _END))) is not _END:
        yield request


def write_all(answers: Iterator[Any], context: BlockingContext, write: Callable[[Any], Awaitable[None]]) -> None:
    """Send the answers of a handler until it has no more, or the call is over."""
    try:
        for answer in answers:
            context.wait(lambda answer=answer: write(answer))  # type: ignore[misc]
    finally:
        if isinstance(answers, Generator):
            answers.close()


async def in_thread(work: Callable[[], Any]) -> Any:
    """Return what `work` returns in a new thread, which is left behind when this is cancelled."""
    done = Wakeup()
    outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)
        done()

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name="blocking-handler", daemon=True).start()
    await done.wait()
    return outcome.result()
