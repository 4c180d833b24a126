"""A process that traces its calls: what is known, and what is renewed, is the same as without."""

import asyncio
import functools
import gc
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authclient import Session, Trust, reason_of
from authclient._view import watch
from authclient._wire import calls

from tests.clients.auth_server import AuthServer
from tests.clients.beside.tracing import Spans, traced_clients
from tests.clients.calling import aio_callers
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import KINDS, UNAUTHENTICATED, Conversation, Guarded, begin, handler, path
from tests.clients.scripted import SECONDS, bearer, ended, token
from tests.clients.serving.test_streams_asking import stays_open
from tests.clients.stand_ins import Hands, Heard
from tests.clients.token_server import TokenServer
from tests.clients.trusts import NewTrust, verdict
from tests.gateway import Gateway
from tests.observed import PASSWORD

WATCH = "/authapi.v1.TrustService/WatchRevocations"


@pytest.fixture
def spans() -> Iterator[Spans]:
    with traced_clients() as made:
        yield made


@pytest.fixture(params=["by address", "by channel"])
def watched(
    request: pytest.FixtureRequest, auth: AuthServer, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Any, Gateway]]:
    """Yield what a Trust is given, its own address or a channel that is traced, and the way there."""
    monkeypatch.setattr(watch, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(watch, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(calls, "UNSTOPPABLE_SECONDS", 1.0)
    with Gateway(auth.port) as way:
        if request.param == "by address":
            yield f"127.0.0.1:{way.port}", way
        else:
            with grpc.insecure_channel(f"127.0.0.1:{way.port}") as channel:
                yield channel, way


def is_clock_alive(trust: Trust) -> bool:
    return not trust._watch.unwatched_seconds() and all(thread.is_alive() for thread in trust._watch.threads)


def test_a_server_that_falls_silent_is_followed_again_and_no_thread_has_failed(
    auth: AuthServer, watched: tuple[Any, Gateway], new_trust: NewTrust, heard: Heard
) -> None:
    target, way = watched
    trust = new_trust(target)
    assert trust.wait_until_ready(SOON)
    way.silence()
    eventually(lambda: trust.view_age() > 1.0, "silence")
    way.cut()
    auth.revoke(ended())
    eventually(lambda: verdict(trust) == "SESSION_ENDED", "the view comes back")
    assert is_clock_alive(trust)
    assert heard.failed_threads == []


def test_streams_end_with_their_token(
    auth: AuthServer, spans: Spans, new_trust: NewTrust, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "TICK_SECONDS", 0.02)
    auth.uptime = hands
    trust = new_trust(auth, monotonic=hands)
    assert trust.wait_until_ready(SOON)
    with Guarded(trust, {"stays": handler("unary_stream", stays_open)}) as shop, ThreadPoolExecutor(1) as reader:
        text = token(exp=SECONDS + 100)
        call = begin(shop.channel, "unary_stream", path("stays"), (b"x",), metadata=bearer(text), timeout=SOON)
        reading = reader.submit(list, call)
        eventually(lambda: shop.leases == 1, "it is open")
        auth.time = SECONDS + 131
        assert refusal(reading.exception(SOON)) == (UNAUTHENTICATED, "TOKEN_EXPIRED")


def refusal(error: Any) -> tuple[grpc.StatusCode, str | None]:
    return error.code(), reason_of(error.trailing_metadata())


def test_a_trust_is_closed(watched: tuple[Any, Gateway], new_trust: NewTrust) -> None:
    trust = new_trust(watched[0])
    assert trust.wait_until_ready(SOON)
    trust.close()
    assert not any(thread.is_alive() for thread in trust._watch.threads)


def test_what_a_trust_says_to_the_authentication_service_is_in_no_trace(
    auth: AuthServer, spans: Spans, new_trust: NewTrust
) -> None:
    trust = new_trust(auth)
    assert trust.wait_until_ready(SOON)
    trust.close()
    assert spans.names == set()


@pytest.fixture
def session(server: TokenServer, spans: Spans, hands: Hands) -> Iterator[Session]:
    with Session(server.address, monotonic=hands) as made:
        made.login("ada", PASSWORD)
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_makes_its_calls_and_they_are_traced(
    server: TokenServer, session: Session, spans: Spans, kind: str
) -> None:
    with session.channel(server.address) as channel:
        argument: Any = iter([b"x"]) if kind.startswith("stream_") else b"x"
        answer = getattr(channel, kind)(path(kind))(argument, timeout=SOON)
        assert (next(answer) if kind.endswith("_stream") else answer) == b"access-1"
        if kind.endswith("_stream"):
            list(answer)
    eventually(lambda: path(kind) in spans.names, "the call is traced")
    assert {name for name in spans.names if "authapi" in name} <= {"/authapi.v1.StreamService/RenewStream"}


@pytest.mark.parametrize("kind", ["unary_stream", "stream_stream"])
def test_the_streams_of_a_session_are_renewed_until_they_are_dropped(
    server: TokenServer, session: Session, hands: Hands, kind: str
) -> None:
    said = Conversation(b"wait")
    with session.channel(server.address) as channel:
        argument: Any = iter(said) if kind.startswith("stream_") else b"wait"
        answers = getattr(channel, kind)(path(kind))(argument, timeout=SOON)
        assert next(answers) == b"access-1"
        hands.now += 899
        renewed = (server.names[0], "access-2")
        eventually(functools.partial(server.renewals.__contains__, renewed), "it is renewed")
        said.hang_up()
        del answers
        gc.collect()


def test_a_refused_stream_is_opened_once_more_with_another_token(server: TokenServer, session: Session) -> None:
    server.refuses = {"access-1"}
    with session.channel(server.address) as channel:
        assert list(begin(channel, "unary_stream", path("unary_stream"), timeout=SOON)) == [b"access-2", b"last"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_asyncio_session_makes_its_calls_and_its_streams_are_renewed(
    server: TokenServer, spans: Spans, kind: str
) -> None:
    async def requests() -> AsyncIterator[bytes]:
        yield b"x"

    async def work() -> None:
        async with aio_callers.signed_in(server) as caller:
            argument: Any = requests() if kind.startswith("stream_") else b"x"
            call = getattr(caller.channel, kind)(path(kind))(argument, timeout=SOON)
            answers = [each async for each in call] if kind.endswith("_stream") else [await call]
            assert answers[0] == b"access-1"

    asyncio.run(work())
    assert path(kind) in spans.names


def test_an_asyncio_stream_that_is_traced_is_renewed(server: TokenServer, spans: Spans) -> None:
    async def work() -> None:
        async with aio_callers.signed_in(server) as caller:
            stream: Any = caller.channel.unary_stream(path("unary_stream"))
            answers = aiter(stream(b"wait", timeout=SOON))
            assert await anext(answers) == b"access-1"
            caller.hands.now += 899
            await aio_callers.eventually(lambda: (server.names[0], "access-2") in server.renewals, "it is renewed")

    asyncio.run(work())
