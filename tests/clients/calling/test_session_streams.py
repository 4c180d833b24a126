"""A caller's long streams are renewed with each fresh token."""

import asyncio
import functools
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from authclient import Session, aio

from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import KINDS, UNAVAILABLE, path
from tests.clients.scripted import refuse
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer
from tests.observed import PASSWORD


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_long_stream_is_renewed_with_each_fresh_token(
    server: TokenServer, shop_channel: grpc.Channel, hands: Hands, kind: str
) -> None:
    release = threading.Event()

    def requests() -> Iterator[bytes]:
        yield b"wait"
        release.wait(SOON)

    stream = getattr(shop_channel, kind)(path(kind))
    begin = stream.future if kind == "stream_unary" else stream
    running = begin(requests() if kind.startswith("stream_") else b"wait", timeout=SOON)
    eventually(lambda: server.seen, "it is open")
    name = server.names[0]
    assert 22 <= len(name) <= 64
    for number in (2, 3):
        hands.now += 899
        fresh = (name, f"access-{number}")
        eventually(functools.partial(server.renewals.__contains__, fresh), "it is renewed")
    release.set()
    running.cancel()
    eventually(lambda: not renewing_threads(), "the thread that renews is gone")
    assert server.renewals == [(name, "access-2"), (name, "access-3")]


def renewing_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "authclient-renewals"]


def test_a_renewal_is_repeated_where_that_helps_and_only_there(
    server: TokenServer, shop_channel: grpc.Channel, hands: Hands
) -> None:
    answers = iter([UNAVAILABLE, UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED])
    tried: list[object] = []

    def answer(context: Any) -> None:
        tried.append(context)
        refuse(context, next(answers, grpc.StatusCode.INTERNAL))

    server.on_renewal = answer
    multi: Any = shop_channel.unary_stream(path("unary_stream"))
    running = multi(b"wait", timeout=SOON)
    next(running)
    hands.now += 899
    eventually(lambda: len(tried) == 3, "it is tried three times")
    hands.now += 899
    eventually(lambda: len(tried) == 4, "the next token is tried")
    running.cancel()


def test_a_session_that_is_over_or_closed_breaks_no_thread(
    server: TokenServer, caller: Session, shop_channel: grpc.Channel, hands: Hands
) -> None:
    multi: Any = shop_channel.unary_stream(path("unary_stream"))
    running = multi(b"wait", timeout=SOON)
    next(running)
    caller.close()
    hands.now += 899
    with pytest.raises((ValueError, grpc.RpcError)):
        caller.access_token()
    running.cancel()
    eventually(lambda: not renewing_threads(), "the thread that renews is gone")


class Breaking(grpc.UnaryUnaryClientInterceptor):
    """Of somebody else: breaks the calls that renew streams."""

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        if details.method.endswith("/RenewStream"):
            raise KeyError("a fault around the channel")
        return continuation(details, request)


class AioBreaking(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return Breaking().intercept_unary_unary(continuation, details, request)


class Counting:
    """Hears of what failed, and is broken itself."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def thread_failed(self, name: str) -> None:
        self.failed.append(name)
        raise RuntimeError("the metrics are broken")


def test_a_renewal_that_an_error_ends_is_counted_and_tried_again(server: TokenServer, hands: Hands) -> None:
    counting = Counting()
    with (
        Session(server.address, monotonic=hands, observer=counting) as caller,
        grpc.insecure_channel(server.address) as plain,
    ):
        caller.login("ada", PASSWORD)
        multi: Any = caller.attach(grpc.intercept_channel(plain, Breaking())).unary_stream(path("unary_stream"))
        running = multi(b"wait", timeout=SOON)
        next(running)
        hands.now += 899
        eventually(lambda: len(counting.failed) > 1, "it has failed, and failed again")
        assert set(counting.failed) == {"authclient-renewals"}
        running.cancel()
        eventually(lambda: not renewing_threads(), "the thread that renews is gone")


def test_a_renewal_that_an_error_ends_on_an_event_loop_is_counted_too(server: TokenServer, hands: Hands) -> None:
    counting = Counting()

    async def stream() -> None:
        async with aio.Session(server.address, monotonic=hands, observer=counting) as caller:
            await caller.login("ada", PASSWORD)
            # Before the session's own, so that its calls pass it.
            channel = caller.attach(
                lambda ours: grpc.aio.insecure_channel(server.address, interceptors=[*ours, AioBreaking()])
            )
            async with channel:
                multi: Any = channel.unary_stream(path("unary_stream"))
                running = multi(b"wait", timeout=SOON)
                await running.read()
                hands.now += 899
                while len(counting.failed) < 2:
                    await asyncio.sleep(0.01)
                running.cancel()

    asyncio.run(asyncio.wait_for(stream(), SOON))
    assert set(counting.failed) == {"authclient-renewals"}
