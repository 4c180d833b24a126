"""Handlers of an asyncio server that wait, and streams that wait in them."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import grpc

from tests.clients.aio_guarded import AioGuarded
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import Conversation, Outcome, begin, ending, handler, path
from tests.clients.scripted import GOOD
from tests.clients.shapes import OPEN_SHAPES, name, read_everything


class Idle:
    """Handlers that take the first message, answer `first` where they stream answers, and wait for something.

    Attributes:
        begun: what is put here for each call that reached its handler.
        left: what becomes of it: `closed`, `cancelled` or the name of an exception.
    """

    def __init__(self, look: Callable[[Any], Any] = lambda _: "begun") -> None:
        self.begun: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.left: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.release = threading.Event()
        self._look = look

    def handlers(self) -> dict[str, Any]:
        """Return one for each shape that streams."""
        shapes = dict(zip(OPEN_SHAPES, self._behaviors(), strict=True))
        return {name(shape): handler(shape[1], behavior) for shape, behavior in shapes.items()}

    def _behaviors(self) -> list[Callable[..., Any]]:
        async def unary_stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
            with self._noted(context):
                yield b"first"
                await asyncio.Event().wait()

        async def stream_unary(requests: AsyncIterator[bytes], context: Any) -> bytes:
            with self._noted(context):
                return b"".join([each async for each in requests])

        async def stream_stream(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            with self._noted(context):
                async for _ in requests:
                    yield b"first"

        async def write(request: bytes, context: Any) -> None:
            with self._noted(context):
                await context.write(b"first")
                await asyncio.Event().wait()

        async def read(_: Any, context: Any) -> bytes:
            with self._noted(context):
                return b"".join(await read_everything(context))

        async def read_and_write(_: Any, context: Any) -> None:
            with self._noted(context):
                while await context.read() is not grpc.aio.EOF:
                    await context.write(b"first")

        def generator(request: bytes, context: Any) -> Iterator[bytes]:
            with self._noted(context):
                yield b"first"
                self.release.wait(SOON)
                yield b"second"

        def consumer(requests: Iterable[bytes], context: Any) -> bytes:
            with self._noted(context):
                return b"".join(requests)

        def transformer(requests: Iterable[bytes], context: Any) -> Iterator[bytes]:
            with self._noted(context):
                for _ in requests:
                    yield b"first"

        return [
            *(unary_stream, stream_unary, stream_stream),
            *(write, read, read_and_write),
            *(generator, consumer, transformer),
        ]

    def _noted(self, context: Any) -> "_Noted":
        self.begun.put(self._look(context))
        return _Noted(self.left)


class _Noted:
    """Says how a handler was left."""

    def __init__(self, left: "queue.SimpleQueue[str]") -> None:
        self._left = left

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        known: dict[Any, str] = {None: "returned", asyncio.CancelledError: "cancelled", GeneratorExit: "closed"}
        self._left.put(known.get(kind) or str(getattr(kind, "__name__", "")))


class Opened:
    """A stream that a caller has opened, and that waits in its handler."""

    def __init__(self, served: AioGuarded, idle: Idle, shape: tuple[str, str], metadata: Any = GOOD) -> None:
        self.shape = name(shape)
        self.said = Conversation(b"hello")
        messages = self.said if shape[1].startswith("stream_") else [b"hello"]
        self.call = begin(served.channel, shape[1], path(name(shape)), messages, metadata)
        self.first = next(self.call) if shape[1].endswith("_stream") else None
        self.noted = idle.begun.get(timeout=SOON)

    def ending(self) -> Outcome:
        """Return how it ended."""
        with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
            if isinstance(self.call, grpc.Future) and self.first is None:
                self.call.result(SOON)
        eventually(self.call.done, "the stream is over")
        self.said.hang_up()
        return ending(self.call, [])
