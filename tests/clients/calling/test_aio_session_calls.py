"""A caller's session on asyncio: every call and stream carries a token that is good."""

import asyncio
import functools
import threading
from typing import Any

import grpc
import pytest
from authclient import reason_of
from authclient.aio import Session

from tests.clients.calling.aio_callers import Caller, claim, eventually, is_ending, refused
from tests.clients.eventually import SOON
from tests.clients.guarded import KINDS, UNAUTHENTICATED, UNAVAILABLE, path
from tests.clients.scripted import refuse
from tests.clients.token_server import TokenServer, over
from tests.observed import PASSWORD


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
async def test_a_service_that_is_unauthenticated_for_reasons_of_its_own_is_called_once(
    server: TokenServer, caller: Caller
) -> None:
    server.refuses = {"access-1"}
    own = [("", ""), ("WRONG_PIN", "authservice"), ("TOKEN_OUTDATED", "shop.example"), ("TOKEN_MISSING", "authservice")]
    for server.reason in own:
        for kind in ("unary_unary", "unary_stream"):
            assert (await refused(caller.call(kind))).code() is UNAUTHENTICATED
    assert (server.seen, server.refreshes) == (["access-1"] * 8, [])


@claim
async def test_a_call_is_not_repeated_as_somebody_who_has_logged_in_meanwhile(
    server: TokenServer, caller: Caller
) -> None:
    loop = asyncio.get_running_loop()

    def login(*_: Any) -> None:
        asyncio.run_coroutine_threadsafe(caller.session.login("bob", PASSWORD), loop).result(SOON)

    for kind in ("unary_unary", "unary_stream"):
        token = await caller.session.access_token()
        server.refuses, server.on_call = {token}, login
        assert (await refused(caller.call(kind))).code() is UNAUTHENTICATED
        server.on_call = lambda _: None
        assert server.seen[-1] == token
        with pytest.raises(ValueError, match="not of the session"):
            await caller.session.replace(token)
    assert server.refreshes == []
    server.refuses, server.on_refresh = {await caller.session.access_token()}, login
    assert (await refused(caller.call())).code() is UNAUTHENTICATED
    assert (len(server.seen), len(server.refreshes)) == (3, 1)


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
    texts = [repr(caller.session), repr(caller.session._keeping._holding.require()), str(await refused(caller.call()))]
    assert not any(secret in text for text in texts for secret in ("access-", "refresh-", PASSWORD))
