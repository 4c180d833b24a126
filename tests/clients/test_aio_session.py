"""A caller's session on asyncio: what test_session.py says of threads, for tasks."""

import asyncio
import functools
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from authclient import LoginNeeded, reason_of
from authclient.aio import Session, attached

from tests.clients.aio_servers import TokenServer, away, over
from tests.clients.guarded import KINDS, path
from tests.clients.scripted import SOON, Hands, refuse
from tests.observed import PASSWORD

UNAUTHENTICATED, UNAVAILABLE = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at open streams more often."""
    monkeypatch.setattr(attached, "RENEWAL_SECONDS", 0.01)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as made:
        yield made


class Caller:
    """A session that is logged in, a channel that carries it, and a clock to set."""

    def __init__(self, session: Session, channel: grpc.aio.Channel, hands: Hands) -> None:
        self.session, self.channel, self.hands = session, channel, hands

    async def call(self, kind: str = "unary_unary", request: bytes = b"x", **options: Any) -> list[bytes]:
        """Make a call of any kind and return the answers."""
        argument: Any = _requests(request) if kind.startswith("stream_") else request
        answer = getattr(self.channel, kind)(path(kind))(argument, timeout=SOON, **options)
        return [each async for each in answer] if kind.endswith("_stream") else [await answer]


async def _requests(*messages: bytes) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


@asynccontextmanager
async def signed_in(server: TokenServer) -> AsyncIterator[Caller]:
    """Yield a caller; leave no task behind."""
    hands = Hands(1000.0)
    async with Session(server.address, monotonic=hands) as session:
        await session.login("ada", PASSWORD)
        async with session.channel(server.address) as channel:
            yield Caller(session, channel, hands)
    await eventually(lambda: len(asyncio.all_tasks()) == 1, "no task is left")


async def eventually(condition: Callable[[], object], what: str) -> None:
    """Return as soon as the condition holds; fail if it does not in time."""
    until = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < until, f"still not: {what}: {asyncio.all_tasks()}"
        await asyncio.sleep(0.002)  # The pace of asking, not a guess at how long it takes.


async def refused(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    """Return the error of a call that must be refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def is_ending(error: grpc.aio.AioRpcError, code: grpc.StatusCode, kind: str) -> bool:
    """Tell whether a call ended so. grpc.aio says INTERNAL where it was still sending requests at that moment."""
    return error.code() is code or (kind.startswith("stream_") and error.code() is grpc.StatusCode.INTERNAL)


def holding(asked: threading.Event, answer: threading.Event) -> Callable[..., None]:
    """Return what keeps a Refresh from being answered for a while."""

    def hold(*_: Any) -> None:
        asked.set()
        answer.wait(SOON)

    return hold


def claim(test: Callable[[TokenServer, Caller], Awaitable[None]]) -> Callable[..., None]:
    """Run a test on an event loop, with a caller who is signed in."""

    def run(server: TokenServer) -> None:
        async def work() -> None:
            async with signed_in(server) as caller:
                await asyncio.wait_for(test(server, caller), 20)

        asyncio.run(work())

    run.__name__ = test.__name__
    return run


@claim
async def test_calls_of_all_four_kinds_carry_the_token(server: TokenServer, caller: Caller) -> None:
    for kind in KINDS:
        assert (await caller.call(kind))[0] == b"access-1"
    assert server.seen == ["access-1"] * 4


@claim
async def test_a_callers_own_authorization_wins(server: TokenServer, caller: Caller) -> None:
    server.refuses = {"own"}
    for kind in KINDS:
        error = await refused(caller.call(kind, metadata=(("authorization", "Bearer own"),)))
        assert is_ending(error, UNAUTHENTICATED, kind)
    assert (server.seen, server.refreshes) == (["own"] * 4, [])


@claim
async def test_fifty_tasks_that_need_a_refresh_cause_one_and_all_get_the_successor(
    server: TokenServer, caller: Caller
) -> None:
    caller.hands.now += 899
    assert set(await asyncio.gather(*(caller.session.access_token() for _ in range(50)))) == {"access-2"}
    server.refuses = {"access-2"}
    assert await asyncio.gather(*(caller.call() for _ in range(50))) == [[b"access-3"]] * 50
    assert server.refreshes == ["refresh-1", "refresh-2"]


@claim
async def test_a_task_that_gives_up_does_not_take_the_refresh_from_the_others(
    server: TokenServer, caller: Caller
) -> None:
    asked, answer = threading.Event(), threading.Event()
    server.on_refresh = holding(asked, answer)
    caller.hands.now += 899
    hasty, patient = (asyncio.ensure_future(caller.session.access_token()) for _ in range(2))
    await eventually(asked.is_set, "the refresh is under way")
    hasty.cancel()
    answer.set()
    assert await patient == "access-2"
    assert hasty.cancelled()
    assert server.refreshes == ["refresh-1"]


@claim
async def test_a_token_is_replaced_ahead_of_time_while_calls_go_on_with_it(server: TokenServer, caller: Caller) -> None:
    answer = threading.Event()
    server.on_refresh = lambda *_: answer.wait(SOON)
    caller.hands.now += 900 * 0.6 - 1
    assert await caller.session.access_token() == "access-1"
    caller.hands.now = 1000 + 900 * 0.85 + 1
    assert [await caller.session.access_token() for _ in range(10)] == ["access-1"] * 10, "nobody waits"
    await eventually(lambda: server.refreshes == ["refresh-1"], "it is refreshed once")
    answer.set()
    await eventually(lambda: caller.session._refresh is None, "the refresh is over")
    assert await caller.session.access_token() == "access-2"


@claim
async def test_a_failing_refresh_disturbs_nobody_until_the_token_ends(server: TokenServer, caller: Caller) -> None:
    server.on_refresh = away
    caller.hands.now += 800
    assert [await caller.call() for _ in range(20)] == [[b"access-1"]] * 20
    await eventually(lambda: caller.session._refresh is None, "the attempt is over")
    assert server.refreshes == ["refresh-1"] * 4
    caller.hands.now += 96
    for kind in KINDS:
        assert (await refused(caller.call(kind))).code() is UNAVAILABLE
    server.on_refresh = lambda *_: None
    assert await caller.call() == [b"access-2"]


@claim
async def test_an_answer_that_is_lost_is_asked_for_again_with_the_same_refresh_token(
    server: TokenServer, caller: Caller
) -> None:
    server.on_refresh = lambda *arguments: away(*arguments) if len(server.refreshes) < 3 else None
    caller.hands.now += 899
    assert await caller.session.access_token() == "access-2"
    assert server.refreshes == ["refresh-1"] * 3


@claim
async def test_a_refused_token_is_replaced_and_the_call_repeated_once(server: TokenServer, caller: Caller) -> None:
    server.refuses = {"access-1"}
    assert await caller.call() == [b"access-2"]
    server.refuses = {"access-2"}
    assert (await caller.call("unary_stream"))[0] == b"access-3"
    server.refuses = {f"access-{number}" for number in range(10)}
    error = await refused(caller.call())
    assert (error.code(), reason_of(error.trailing_metadata())) == (UNAUTHENTICATED, "TOKEN_OUTDATED")
    assert server.seen == ["access-1", "access-2", "access-2", "access-3", "access-3", "access-4"]


@claim
async def test_a_stream_that_was_opened_again_is_the_one_that_is_asked_and_cancelled(
    server: TokenServer, caller: Caller
) -> None:
    server.refuses = {"access-1"}
    stream: Any = caller.channel.unary_stream(path("unary_stream"))
    answers = stream(b"x", timeout=SOON)
    assert [each async for each in answers] == [b"access-2", b"last"]
    assert await answers.code() is grpc.StatusCode.OK
    server.refuses = {"access-2"}
    answers = stream(b"wait", timeout=SOON)
    assert await answers.read() == b"access-3"
    assert not answers.done()
    assert answers.cancel()
    assert await answers.code() is grpc.StatusCode.CANCELLED


@claim
async def test_other_refusals_and_streams_that_have_delivered_are_not_repeated(
    server: TokenServer, caller: Caller
) -> None:
    assert (await refused(caller.call("unary_stream", b"break"))).code() is UNAUTHENTICATED
    server.refuses = {"access-1"}
    for kind in ("stream_unary", "stream_stream"):
        assert is_ending(await refused(caller.call(kind)), UNAUTHENTICATED, kind)
    server.refusal = grpc.StatusCode.PERMISSION_DENIED
    for kind in KINDS:
        assert is_ending(await refused(caller.call(kind)), grpc.StatusCode.PERMISSION_DENIED, kind)
    assert (len(server.seen), server.refreshes) == (7, [])


@claim
async def test_a_session_that_is_over_says_why(server: TokenServer, caller: Caller) -> None:
    server.refuses, server.on_refresh = {"access-1"}, over
    assert (await refused(caller.call())).code() is UNAUTHENTICATED
    for kind in KINDS:
        with pytest.raises(LoginNeeded) as caught:
            await caller.call(kind)
        assert caught.value.reason == "SESSION_ENDED"
    await caller.session.login("ada", PASSWORD)
    assert (await caller.call())[0] not in (b"", b"access-1")


@claim
async def test_logout_is_for_good_even_while_a_refresh_is_under_way(server: TokenServer, caller: Caller) -> None:
    asked, answer = threading.Event(), threading.Event()
    server.on_refresh = holding(asked, answer)
    caller.hands.now += 899
    waiting = asyncio.ensure_future(caller.session.access_token())
    await eventually(asked.is_set, "the refresh is under way")
    assert await caller.session.logout() == 1
    assert await caller.session.logout() == 0
    answer.set()
    for token in (waiting, caller.session.access_token()):
        with pytest.raises(LoginNeeded):
            await token


@claim
async def test_a_login_while_an_older_session_turns_out_to_be_over_is_kept(server: TokenServer, caller: Caller) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hold(token: str, context: Any) -> None:
        asked.set()
        answer.wait(SOON)
        over(token, context)

    server.on_refresh = hold
    caller.hands.now += 800
    assert await caller.session.access_token() == "access-1"
    await eventually(asked.is_set, "the refresh is under way")
    await caller.session.login("bob", PASSWORD)
    hers = await caller.session.access_token()
    answer.set()
    await eventually(lambda: caller.session._refresh is None, "the refresh is over")
    assert await caller.session.access_token() == hers != "access-1"


@claim
async def test_a_caller_who_gives_up_is_noticed_by_the_service(server: TokenServer, caller: Caller) -> None:
    entered, left = threading.Event(), threading.Event()

    def hold(request: bytes, context: Any) -> bytes:
        context.add_callback(left.set)
        entered.set()
        left.wait(SOON)
        return b""

    server.on_hold = hold
    call = asyncio.ensure_future(caller.call(request=b"hold"))
    await eventually(entered.is_set, "the handler runs")
    call.cancel()
    await eventually(left.is_set, "the handler is told")


@claim
async def test_long_streams_are_renewed_with_each_fresh_token(server: TokenServer, caller: Caller) -> None:
    stream: Any = caller.channel.unary_stream(path("unary_stream"))
    call = stream(b"wait", timeout=SOON)
    await call.read()
    name = server.names[0]
    for number in (2, 3):
        caller.hands.now += 899
        fresh = (name, f"access-{number}")
        await eventually(functools.partial(server.renewals.__contains__, fresh), "it is renewed")
    call.cancel()
    assert server.renewals == [(name, "access-2"), (name, "access-3")]


@claim
async def test_a_renewal_is_repeated_where_that_helps_and_only_there(server: TokenServer, caller: Caller) -> None:
    answers = iter([UNAVAILABLE, UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED])
    server.on_renewal = lambda context: refuse(context, next(answers, grpc.StatusCode.INTERNAL))
    stream: Any = caller.channel.unary_stream(path("unary_stream"))
    call = stream(b"wait", timeout=SOON)
    await call.read()
    caller.hands.now += 899
    await eventually(lambda: len(server.renewals) == 3, "it is tried three times")
    caller.hands.now += 899
    await eventually(lambda: len(server.renewals) >= 4, "the next token is tried")
    await asyncio.sleep(0.05)  # Five looks, each of which would try again.
    assert [token for _, token in server.renewals] == ["access-2"] * 3 + ["access-3"]
    call.cancel()


@claim
async def test_close_leaves_no_task_even_in_the_middle_of_a_refresh(server: TokenServer, caller: Caller) -> None:
    asked, answer = threading.Event(), threading.Event()
    server.on_refresh = holding(asked, answer)
    caller.hands.now += 800
    await caller.session.access_token()
    await eventually(asked.is_set, "the refresh is under way")
    await caller.session.close()
    assert not [task for task in asyncio.all_tasks() if "_ask" in repr(task)]
    answer.set()


@claim
async def test_no_token_leaves_this_machine_in_the_clear(server: TokenServer, caller: Caller) -> None:
    for address in ("example.com:443", "10.0.0.1:1", "0.0.0.0:1", "localhost.example.com:1", "dns:///example.com:1"):
        with pytest.raises(ValueError, match="in the clear"):
            Session(address)
        with pytest.raises(ValueError, match="in the clear"):
            caller.session.channel(address)
    for address in ("127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/tmp/none.sock"):
        await caller.session.channel(address).close()


@claim
async def test_tokens_are_in_no_text(server: TokenServer, caller: Caller) -> None:
    server.refuses, server.on_refresh = {"access-1"}, over
    texts = [repr(caller.session), repr(caller.session._holding.require()), str(await refused(caller.call()))]
    assert not any(secret in text for text in texts for secret in ("access-", "refresh-", PASSWORD))
