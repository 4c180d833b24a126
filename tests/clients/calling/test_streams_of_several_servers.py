"""A session's streams live on where calls are spread over several servers, and where streams hold every thread."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from authapi.v1 import stream_service_pb2 as api
from authapi.v1 import stream_service_pb2_grpc as rpc
from authclient import Session, Trust, aio

from tests.clients.auth_server import AuthServer
from tests.clients.calling import aio_callers
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import Guarded, path
from tests.clients.scripted import SECONDS, bearer, token
from tests.clients.serving.open_streams import NAME, Stream, Waiting, entered
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer
from tests.observed import PASSWORD

LIVES = [100, 900]
"""Seconds after the beginning until which the first token of a session is good, and the second."""
STREAMS = 8


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as made:
        made.new_token = lambda number: token(exp=SECONDS + LIVES[number - 1])
        yield made


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    handlers = Waiting()
    yield handlers
    handlers.released.set()


@pytest.fixture(params=[None, SOON], ids=["impatient", "patient"])
def patience(request: pytest.FixtureRequest) -> float | None:
    """How long the guard waits for requests; None where it leaves that to grpc."""
    seconds: float | None = request.param
    return seconds


@pytest.fixture
def replicas(timed: Trust, waiting: Waiting) -> Iterator[list[Guarded]]:
    """Yield three servers of one service."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Guarded(timed, waiting.handlers)) for _ in range(3)]
        waiting.released.set()


def balanced(replicas: list[Guarded], connect: Callable[..., Any], **more: Any) -> Any:
    """Return a channel whose calls go to each of them in turn."""
    address = "ipv4:" + ",".join(f"127.0.0.1:{each.port}" for each in replicas)
    return connect(
        address, options=[("grpc.lb_policy_name", "round_robin"), ("grpc.use_local_subchannel_pool", 1)], **more
    )


def all_connected(replicas: list[Guarded], waiting: Waiting, begin: Callable[[], Any]) -> list[Any]:
    """Return streams of which each server has one at least, and whose renewals would not find them by mere order."""
    streams: list[Any] = []
    while len(streams) < STREAMS or not all(each.leases for each in replicas):
        streams.append(begin())
        entered(waiting)
    return streams


def tokens_presented(replicas: list[Guarded]) -> set[str]:
    """Return the tokens by which the streams live."""
    leases = [lease for each in replicas if each.interceptor for lease in each.interceptor._leases._leases]
    return {lease.verified.token for lease in leases}


def pass_first_token(auth: AuthServer, timed: Trust) -> None:
    """Let the time go to where the first token is over, and every stream was judged again."""
    auth.time = SECONDS + 200
    eventually(lambda: timed.knowledge.now() >= SECONDS + 200, "the new time")
    timed._watch._notify()


def test_streams_are_renewed_where_calls_go_to_each_server_in_turn(
    auth: AuthServer, timed: Trust, server: TokenServer, replicas: list[Guarded], waiting: Waiting
) -> None:
    clock = Hands(1000.0)
    with Session(server.address, monotonic=clock) as caller:
        caller.login("ada", PASSWORD)
        with caller.attach(balanced(replicas, grpc.insecure_channel)) as channel:
            multi: Any = channel.unary_stream(path("unary_stream"))
            streams = all_connected(replicas, waiting, lambda: multi(b"x", timeout=6 * SOON))
            clock.now += 899
            second = caller.access_token()
            eventually(lambda: tokens_presented(replicas) == {second}, "all are renewed")
            pass_first_token(auth, timed)
            assert all(stream.is_active() for stream in streams)


def test_so_they_are_with_asyncio(
    auth: AuthServer, timed: Trust, server: TokenServer, replicas: list[Guarded], waiting: Waiting
) -> None:
    clock = Hands(1000.0)

    async def work() -> None:
        async with aio.Session(server.address, monotonic=clock) as caller:
            await caller.login("ada", PASSWORD)
            connect = grpc.aio.insecure_channel
            async with caller.attach(lambda each: balanced(replicas, connect, interceptors=each)) as channel:
                multi: Any = channel.unary_stream(path("unary_stream"))
                streams: list[Any] = []
                while len(streams) < STREAMS or not all(each.leases for each in replicas):
                    streams.append(multi(b"x", timeout=6 * SOON))
                    await streams[-1].read()
                clock.now += 899
                second = await caller.access_token()
                await aio_callers.eventually(lambda: tokens_presented(replicas) == {second}, "all are renewed")
                pass_first_token(auth, timed)
                assert not any(stream.done() for stream in streams)

    asyncio.run(work())


def test_streams_are_renewed_that_hold_every_thread_of_their_server(
    auth: AuthServer, timed: Trust, server: TokenServer, waiting: Waiting, patience: float | None
) -> None:
    clock = Hands(1000.0)
    with Session(server.address, monotonic=clock) as caller:
        caller.login("ada", PASSWORD)
        shop = Guarded(timed, waiting.handlers, threads=4, patience=patience)
        with shop, caller.attach(shop.new_channel()) as channel:
            multi: Any = channel.unary_stream(path("unary_stream"))
            streams = [multi(b"x", timeout=6 * SOON) for _ in range(4)]
            entered(waiting, 4)
            clock.now += 899
            second = caller.access_token()
            eventually(lambda: tokens_presented([shop]) == {second}, "all are renewed")
            pass_first_token(auth, timed)
            assert all(stream.is_active() for stream in streams)
            waiting.released.set()


def test_callers_who_never_send_their_renewal_keep_nobody_from_renewing(timed: Trust, waiting: Waiting) -> None:
    with Guarded(timed, waiting.handlers, threads=4, patience=6 * SOON) as shop, shop.new_channel() as rude:
        stream = Stream(shop, "unary_stream", token(), name=NAME)
        entered(waiting)
        begin: Any = rude.stream_unary("/authapi.v1.StreamService/RenewStream")
        silent = [begin.future(iter(waiting.entered.get, None), timeout=6 * SOON) for _ in range(100)]
        eventually(lambda: shop.awaited == 100, "all of them are there")
        renew = rpc.StreamServiceStub(shop.channel).RenewStream
        renew(api.RenewStreamRequest(stream_id=NAME), metadata=bearer(token()), timeout=SOON)
        for each in silent:
            each.cancel()
        for _ in silent:
            waiting.entered.put(None)
        stream.leave()
        waiting.released.set()
