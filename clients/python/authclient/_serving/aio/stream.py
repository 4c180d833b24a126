"""Open streams of an asyncio server, which can be refused while their handler is at work."""

import asyncio
import contextlib
from typing import Any, NoReturn, TypeAlias

import grpc

from authclient._serving.contexts import WithMetadata
from authclient._wire.refusals import Refused

Context: TypeAlias = WithMetadata


class Stream:
    """An open stream, which any thread may end."""

    def __init__(self, context: Context) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.is_finished = False
        self._context = context
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._opening: asyncio.Task[None] | None = None
        self._refusing: asyncio.Task[None] | None = None

    def follow(self) -> None:
        """Note which task runs the handler from now on. Who takes answers may do so in another one each time."""
        self._task = asyncio.current_task() or self._task

    @property
    def is_open(self) -> bool:
        """Whether the initial metadata were sent, or are about to be."""
        return self._opening is not None

    async def open(self, metadata: Any) -> None:
        """Send the initial metadata."""
        # In a task of its own, which goes on if the handler is cancelled.
        self._opening = self._loop.create_task(self._context.send_initial_metadata(metadata))
        await asyncio.shield(self._opening)

    def refuse(self, refused: Refused) -> None:
        """End with a refusal, whatever the handler is doing, and whatever it makes of being cancelled."""
        with contextlib.suppress(RuntimeError):  # The loop is closed, and the stream with it.
            self._loop.call_soon_threadsafe(self._end, refused)

    def _end(self, refused: Refused) -> None:
        if self._opening and not self._opening.done():
            # Until they are known to be sent, grpc would send the initial metadata along with the status. Twice is an
            # error, after which the stream would neither go on nor end.
            self._opening.add_done_callback(lambda _: self._end(refused))
        elif not (self.is_finished or self._context.done()):
            self._refusing = self._loop.create_task(self._send(refused))
            self._task.cancel()

    async def _send(self, refused: Refused) -> None:
        # grpc raises AbortError for the handler to stop at, and others if the caller has left or the handler was first.
        with contextlib.suppress(Exception):
            await abort(self._context, refused)


class StreamContext:
    """The context of a handler that streams. Before its first answer, it sends the initial metadata by themselves.

    They are not held back by a caller who reads nothing, as an answer is, and grpc alone sends both in one operation.
    """

    def __init__(self, context: Context, stream: Stream) -> None:
        self._context = context
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def send_initial_metadata(self, metadata: Any) -> None:
        """Send the initial metadata."""
        await self._stream.open(metadata)

    async def write(self, answer: Any) -> None:
        """Send an answer."""
        if not self._stream.is_open:
            await self._stream.open(())
        await self._context.write(answer)


grpc.aio.ServicerContext.register(StreamContext)


async def abort(context: Context, refused: Refused) -> NoReturn:
    """End a call with a refusal."""
    await context.abort(refused.code, refused.details, refused.trailing_metadata)
    raise AssertionError("abort returned")
