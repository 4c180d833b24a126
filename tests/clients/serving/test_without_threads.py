"""Where a process may start no more threads, no stream goes on unasked for long, and no call waits without an end."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from authclient import Trust
from authclient._serving import leases
from authclient._serving.aio import blocking
from authclient._serving.aio.blocking import BlockingContext, StreamOver
from authclient._serving.sync.waiting_room import KEPT_THREADS, WaitingRoom

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import UNAUTHENTICATED, Guarded, handler, summary
from tests.clients.scripted import bearer, identity, refuse, token
from tests.clients.serving.test_streams_asking import opened, silence, stays_open
from tests.clients.stand_ins import Hands


class Limit:
    """Lets no thread be started whose name begins so."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.refused = 0


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Limit]:
    made = Limit()
    start = threading.Thread.start

    def start_or_not(thread: threading.Thread) -> None:
        if thread.name.startswith(made.names):
            made.refused += 1
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)
    yield made
    made.names = ()


@pytest.fixture
def stays(timed: Trust) -> Iterator[Guarded]:
    """Yield a service with a stream that stays open."""
    with Guarded(timed, {"stays": handler("unary_stream", stays_open)}) as shop:
        yield shop


def test_streams_about_which_nobody_can_ask_end_in_time(
    auth: AuthServer, stays: Guarded, hands: Hands, limit: Limit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "ASKING_SECONDS", 0.2)
    auth.verify = lambda *_: identity()
    stream = opened(stays, 1)[0]
    limit.names = ("authclient-streams",)
    silence(auth, hands)
    assert summary(stream.end()) == "UNAVAILABLE VERIFICATION_UNAVAILABLE"


def test_streams_are_asked_about_once_a_thread_can_be_had(
    auth: AuthServer, stays: Guarded, hands: Hands, limit: Limit
) -> None:
    auth.verify = lambda _, context: refuse(context, UNAUTHENTICATED, "SESSION_ENDED")
    stream = opened(stays, 1)[0]
    limit.names = ("authclient-streams",)
    silence(auth, hands)
    eventually(lambda: limit.refused > 1, "it is tried again")
    assert stream.is_open
    limit.names = ()
    assert summary(stream.end()) == "UNAUTHENTICATED SESSION_ENDED"


def test_streams_are_asked_about_one_by_one_where_several_threads_cannot_be_had(
    auth: AuthServer, stays: Guarded, hands: Hands, limit: Limit
) -> None:
    auth.verify = lambda _, context: refuse(context, UNAUTHENTICATED, "SESSION_ENDED")
    some = opened(stays, 3)
    limit.names = ("authclient-asking",)
    silence(auth, hands)
    assert {summary(stream.end()) for stream in some} == {"UNAUTHENTICATED SESSION_ENDED"}


def test_calls_that_find_no_thread_stand_in_line_for_the_next() -> None:
    room = WaitingRoom()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", _refuse)
        first = room.submit(lambda: "first")
    assert not first.done()
    second = room.submit(lambda: "second")
    assert [first.result(SOON), second.result(SOON)] == ["first", "second"]
    room.shutdown()


def test_calls_beyond_the_threads_that_stay_stand_in_line_too() -> None:
    room, release = WaitingRoom(), threading.Event()
    held = [room.submit(release.wait, SOON) for _ in range(KEPT_THREADS)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", _refuse)
        beyond = room.submit(lambda: "beyond")
    assert not beyond.done()
    release.set()
    assert all(each.result(SOON) for each in held)
    assert beyond.result(SOON) == "beyond"
    room.shutdown()


def _refuse(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_call_whose_clock_could_not_start_is_ended_by_the_clock_of_the_next(trust: Trust, limit: Limit) -> None:
    handlers: dict[str, Any] = {"stays": handler("unary_stream", stays_open)}
    with Guarded(trust, handlers, patience=0.2) as shop:
        limit.names = ("authclient-patience",)
        renew: Any = shop.channel.stream_unary("/authapi.v1.StreamService/RenewStream")
        release = threading.Event()
        first = renew.future(_nothing(release), metadata=bearer(token()), timeout=6 * SOON)
        eventually(lambda: limit.refused, "its clock does not start")
        limit.names = ()
        second = renew.future(_nothing(release), metadata=bearer(token()), timeout=6 * SOON)
        eventually(lambda: first.done() and second.done(), "both are ended")
        release.set()


def _nothing(release: threading.Event) -> Iterator[bytes]:
    release.wait(6 * SOON)
    yield from ()


def test_a_thread_does_not_wait_for_an_event_loop_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "LOOK_SECONDS", 0.01)
    loop = asyncio.new_event_loop()

    async def make() -> BlockingContext:
        return BlockingContext(None)

    context = loop.run_until_complete(make())
    found: list[type] = []

    async def work() -> None:
        raise AssertionError("the loop runs no more")

    def wait() -> None:
        try:
            context.wait(work)
        except StreamOver as over:
            found.append(type(over))

    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(lambda: loop._ready, "it waits")  # type: ignore[attr-defined]
    loop.close()
    waiting.join(SOON)
    assert found == [StreamOver]
