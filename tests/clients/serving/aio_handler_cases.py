"""Everything that a handler of an asyncio server may do, in every shape."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc

from tests.clients.guarded import handler
from tests.clients.shapes import SHAPES, name


class Gone(Exception):
    """What a handler raises."""


async def _set(context: Any) -> None:
    context.set_trailing_metadata((("trail", "er"), ("trail-bin", b"\x00")))
    context.set_code(grpc.StatusCode.ABORTED)
    context.set_details("set")


async def _initial(context: Any) -> None:
    await context.send_initial_metadata((("initial", "here"),))


async def _abort(context: Any) -> None:
    context.set_trailing_metadata((("trail", "er"),))
    await context.abort(grpc.StatusCode.DATA_LOSS, "aborted")


async def _abort_with_metadata(context: Any) -> None:
    await context.abort(grpc.StatusCode.DATA_LOSS, "aborted", (("more", "here"),))


async def _abort_bare(context: Any) -> None:
    await context.abort(grpc.StatusCode.DATA_LOSS)


async def abort_and_go_on(context: Any) -> None:
    with contextlib.suppress(Exception):
        await context.abort(grpc.StatusCode.DATA_LOSS, "aborted")


async def _raise(context: Any) -> None:
    raise Gone("text")


async def _code_and_raise(context: Any) -> None:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    raise Gone("text")


async def _nothing(context: Any) -> None:
    pass


WAYS: dict[str, Callable[[Any], Any]] = {
    way.__name__.strip("_"): way
    for way in (_nothing, _set, _initial, _abort, _abort_with_metadata, _abort_bare, _raise)
} | {"code_and_raise": _code_and_raise}


def run_now(work: Any) -> Any:
    """Run a coroutine that waits for nothing, where there is no event loop."""
    try:
        work.send(None)
    except StopIteration as over:
        return over.value
    raise AssertionError("it waits")


class InThread:
    """The context of a synchronous handler, with the words of an asynchronous one."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            return getattr(self._context, name)(*arguments)

        return call if name in ("abort", "send_initial_metadata") else getattr(self._context, name)


def ways(way: Callable[[Any], Any], when: str) -> dict[str, Any]:
    """Return handlers that end this way, before or after their answers."""

    async def unary_unary(request: bytes, context: Any) -> bytes:
        await way(context)
        return b"answer"

    async def unary_stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        if when == "after":
            yield b"one"
            yield b"two"
        await way(context)
        yield b"three"

    async def stream_unary(requests: AsyncIterator[bytes], context: Any) -> bytes:
        seen = [each async for each in requests] if when == "after" else []
        await way(context)
        return b"".join(seen)

    async def stream_stream(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        if when == "after":
            async for each in requests:
                yield each
        await way(context)
        yield b"last"

    async def write(request: bytes, context: Any) -> None:
        if when == "after":
            await context.write(b"one")
        await way(context)
        await context.write(b"two")

    async def read(_: Any, context: Any) -> bytes:
        first = await context.read() if when == "after" else b""
        await way(context)
        return bytes(first)

    async def read_and_write(_: Any, context: Any) -> None:
        if when == "after":
            await context.write(await context.read())
        await way(context)
        await context.write(b"last")

    def function(request: bytes, context: Any) -> bytes:
        run_now(way(InThread(context)))
        return b"answer"

    def generator(request: bytes, context: Any) -> Iterator[bytes]:
        if when == "after":
            yield b"one"
            yield b"two"
        run_now(way(InThread(context)))
        yield b"three"

    def consumer(requests: Iterator[bytes], context: Any) -> bytes:
        seen = list(requests) if when == "after" else []
        run_now(way(InThread(context)))
        return b"".join(seen)

    def transformer(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        if when == "after":
            yield from requests
        run_now(way(InThread(context)))
        yield b"last"

    written: tuple[Callable[..., Any], ...] = (
        unary_unary,
        unary_stream,
        stream_unary,
        stream_stream,
        write,
        read,
        read_and_write,
    )
    blocking: tuple[Callable[..., Any], ...] = (function, generator, consumer, transformer)
    return {
        name(shape): handler(shape[1], behavior) for shape, behavior in zip(SHAPES, (*written, *blocking), strict=True)
    }
