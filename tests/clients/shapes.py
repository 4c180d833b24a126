"""Handlers of every shape that an asyncio server knows."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import grpc

from tests.clients.guarded import handler

Work = Callable[[list[bytes], Any], list[bytes]]
SHAPES = [
    *[("async", kind) for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream")],
    *[("read_write", kind) for kind in ("unary_stream", "stream_unary", "stream_stream")],
    *[("blocking", kind) for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream")],
]
"""Every way to write a handler for an asyncio server."""
OPEN_SHAPES = [shape for shape in SHAPES if shape[1] != "unary_unary"]
"""Those that stream."""


async def read_everything(context: Any) -> list[bytes]:
    """Return all requests of a call whose handler reads them by its context."""
    messages = []
    while (message := await context.read()) is not grpc.aio.EOF:
        messages.append(message)
    return messages


def _behaviors(work: Work) -> dict[tuple[str, str], Callable[..., Any]]:
    async def unary_unary(request: bytes, context: Any) -> bytes:
        return b"".join(work([request], context))

    async def unary_stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for answer in work([request], context):
            yield answer

    async def stream_unary(requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join(work([each async for each in requests], context))

    async def stream_stream(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        for answer in work([each async for each in requests], context):
            yield answer

    async def write_all(request: bytes, context: Any) -> None:
        for answer in work([request], context):
            await context.write(answer)

    async def read_all(_: Any, context: Any) -> bytes:
        return b"".join(work(await read_everything(context), context))

    async def read_and_write(_: Any, context: Any) -> None:
        for answer in work(await read_everything(context), context):
            await context.write(answer)

    def function(request: bytes, context: Any) -> bytes:
        return b"".join(work([request], context))

    def generator(request: bytes, context: Any) -> Iterator[bytes]:
        yield from work([request], context)

    def consumer(requests: Iterable[bytes], context: Any) -> bytes:
        return b"".join(work(list(requests), context))

    def transformer(requests: Iterable[bytes], context: Any) -> Iterator[bytes]:
        yield from work(list(requests), context)

    return dict(
        zip(
            SHAPES,
            (
                *(unary_unary, unary_stream, stream_unary, stream_stream),
                *(write_all, read_all, read_and_write),
                *(function, generator, consumer, transformer),
            ),
            strict=True,
        )
    )


def every_shape(work: Work) -> dict[str, Any]:
    """Return one handler for each shape, by name, that does the same: takes what was sent and answers."""
    return {name(shape): handler(shape[1], behavior) for shape, behavior in _behaviors(work).items()}


def name(shape: tuple[str, str]) -> str:
    """Return the name of the method with a handler of this shape."""
    return "_".join(shape)
