"""A guarded handler of an asyncio server behaves as the same handler without a guard."""

import queue
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from authclient import Trust, current_identity

from tests.clients.aio_guarded import AioGuarded
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import Outcome, begin, handler, path
from tests.clients.scripted import GOOD, USER
from tests.clients.serving.aio_handler_cases import WAYS, abort_and_go_on, ways
from tests.clients.shapes import SHAPES, name


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("way", WAYS)
def test_what_a_handler_says_reaches_the_caller_as_without_the_interceptor(trust: Trust, way: str, when: str) -> None:
    handlers = ways(WAYS[way], when)
    with AioGuarded(None, handlers) as plain, AioGuarded(trust, handlers) as guarded:
        for shape in SHAPES:
            messages = (b"a", b"b", b"c") if shape[1].startswith("stream_") else (b"a",)
            expected = of_grpc_alone(plain, shape, messages)
            assert guarded.call(shape, *messages, metadata=GOOD) == expected, name(shape)
        eventually(lambda: guarded.leases == 0, "there is no lease any more")


def of_grpc_alone(plain: AioGuarded, shape: tuple[str, str], messages: tuple[bytes, ...]) -> Outcome:
    """Return what comes of a call without an interceptor.

    A blocking generator that aborts may meet its own first write still under way in grpc, and its caller then hangs
    (grpc/grpc#28989, grpcio 1.85). What its asynchronous twin says is what it would say.
    """
    if shape in {("blocking", "unary_stream"), ("blocking", "stream_stream")}:
        shape = "async", shape[1]
    return plain.call(shape, *messages, metadata=GOOD)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_handler_that_goes_on_after_its_own_abort_has_aborted_all_the_same(trust: Trust, when: str) -> None:
    with AioGuarded(trust, ways(abort_and_go_on, when)) as served:
        for shape in SHAPES:
            messages = (b"a", b"b") if shape[1].startswith("stream_") else (b"a",)
            answer = served.call(shape, *messages, metadata=GOOD)
            assert (answer.code, answer.details) == (grpc.StatusCode.DATA_LOSS, "aborted"), name(shape)


def test_a_generator_is_closed_before_its_caller_is_forgotten(trust: Trust) -> None:
    seen: queue.SimpleQueue[str] = queue.SimpleQueue()

    async def answer(request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
        finally:
            seen.put(current_identity(context).user_id)

    with AioGuarded(trust, {"Answer": handler("unary_stream", answer)}) as served:
        call = begin(served.channel, "unary_stream", path("Answer"), metadata=GOOD)
        next(call)
        call.cancel()
        assert seen.get(timeout=SOON) == USER
