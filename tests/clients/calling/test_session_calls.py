"""A caller's session: every call carries a token that is good, and is repeated where that helps."""

from typing import Any

import grpc
import pytest
from authclient import LoginNeeded, Session, reason_of
from authclient._calling.held_tokens import REMEMBERED_TOKENS
from authclient._wire.metadata import has_authorization

from tests.clients.calling.calls import call, refused
from tests.clients.eventually import SOON
from tests.clients.guarded import KINDS, UNAUTHENTICATED, UNAVAILABLE, path
from tests.clients.token_server import TokenServer, over
from tests.observed import PASSWORD


@pytest.mark.parametrize("kind", KINDS)
def test_calls_of_all_four_kinds_carry_the_token(shop_channel: grpc.Channel, server: TokenServer, kind: str) -> None:
    assert call(shop_channel, kind)[0] == b"access-1"
    assert server.seen == ["access-1"]


def test_before_a_login_nothing_is_sent(server: TokenServer) -> None:
    with Session(server.address) as stranger, stranger.channel(server.address) as channel:
        for kind in KINDS:
            with pytest.raises(LoginNeeded) as caught:
                call(channel, kind)
            assert caught.value.reason is None
        with pytest.raises(LoginNeeded):
            stranger.replace("access-1")
        assert stranger.logout() == 0
    assert server.seen == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["authorization", "Authorization"])
def test_a_callers_own_authorization_wins(shop_channel: grpc.Channel, server: TokenServer, kind: str, key: str) -> None:
    server.refuses = {"own"}
    error = refused(lambda: call(shop_channel, kind, metadata=((key.lower(), "Bearer own"),)))
    assert error.code() is UNAUTHENTICATED
    assert (server.seen, server.refreshes) == (["own"], []), "it is not replaced and not repeated"
    assert has_authorization(((key, "x"),))
    assert not has_authorization((("x-authorization", "x"), ("proxy-authorization", "x")))


@pytest.mark.parametrize("kind", KINDS)
def test_other_metadata_deadline_and_messages_are_the_callers(server: TokenServer, caller: Session, kind: str) -> None:
    with caller.channel(server.address) as channel:
        assert call(channel, kind, metadata=(("x-request-id", "7"), ("data-bin", b"\x00")))[0] == b"access-1"
        multi: Any = channel.unary_stream(path("unary_stream"))
        assert refused(lambda: list(multi(b"wait", timeout=0.05))).code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_refused_token_is_replaced_and_the_call_repeated(
    server: TokenServer, shop_channel: grpc.Channel, kind: str
) -> None:
    server.refuses = {"access-1"}
    assert call(shop_channel, kind)[0] == b"access-2"
    assert server.seen == ["access-1", "access-2"]


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_call_is_repeated_once_only(server: TokenServer, shop_channel: grpc.Channel, kind: str) -> None:
    server.refuses = {f"access-{number}" for number in range(10)}
    error = refused(lambda: call(shop_channel, kind))
    assert (error.code(), reason_of(error.trailing_metadata())) == (UNAUTHENTICATED, "TOKEN_OUTDATED")
    assert server.seen == ["access-1", "access-2"]


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
@pytest.mark.parametrize(
    "reason",
    [("", ""), ("WRONG_PIN", "authservice"), ("TOKEN_OUTDATED", "shop.example"), ("TOKEN_MISSING", "authservice")],
)
def test_a_service_that_is_unauthenticated_for_reasons_of_its_own_is_called_once(
    server: TokenServer, shop_channel: grpc.Channel, kind: str, reason: tuple[str, str]
) -> None:
    server.refuses, server.reason = {"access-1"}, reason
    assert refused(lambda: call(shop_channel, kind)).code() is UNAUTHENTICATED
    assert (server.seen, server.refreshes) == (["access-1"], [])


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_call_is_not_repeated_as_somebody_who_has_logged_in_meanwhile(
    server: TokenServer, caller: Session, shop_channel: grpc.Channel, kind: str
) -> None:
    server.refuses = {"access-1"}
    server.on_call = lambda _: caller.login("bob", PASSWORD)
    assert refused(lambda: call(shop_channel, kind)).code() is UNAUTHENTICATED
    server.on_call = lambda _: None
    assert (server.seen, server.refreshes) == (["access-1"], [])
    assert call(shop_channel, kind)[0] == b"access-2", "the next call is bob's"


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_call_is_not_repeated_as_somebody_who_logs_in_while_its_token_is_replaced(
    server: TokenServer, caller: Session, shop_channel: grpc.Channel, kind: str
) -> None:
    server.refuses = {"access-1"}
    server.on_refresh = lambda *_: caller.login("bob", PASSWORD)
    assert refused(lambda: call(shop_channel, kind)).code() is UNAUTHENTICATED
    assert (server.seen, server.refreshes) == (["access-1"], ["refresh-1"])


def test_a_token_of_an_earlier_login_or_of_nobody_is_not_replaced(caller: Session) -> None:
    first = caller.access_token()
    caller.login("bob", PASSWORD)
    for refused_token in (first, "made up"):
        with pytest.raises(ValueError, match="not of the session"):
            caller.replace(refused_token)


def test_a_session_that_lasts_remembers_its_latest_tokens_only(server: TokenServer, caller: Session) -> None:
    first = token = caller.access_token()
    for _ in range(REMEMBERED_TOKENS + 1):
        earlier, token = token, caller.replace(token)
    assert caller.replace(earlier) == token
    assert len(caller._keeping._holding._session_ids) == REMEMBERED_TOKENS
    with pytest.raises(ValueError, match="not of the session"):
        caller.replace(first)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, UNAVAILABLE, grpc.StatusCode.INTERNAL])
def test_other_refusals_are_not_repeated(
    server: TokenServer, shop_channel: grpc.Channel, kind: str, code: grpc.StatusCode
) -> None:
    server.refuses, server.refusal = {"access-1"}, code
    assert refused(lambda: call(shop_channel, kind)).code() is code
    assert (server.seen, server.refreshes) == (["access-1"], [])


@pytest.mark.parametrize("kind", ["stream_unary", "stream_stream"])
def test_calls_whose_requests_are_spent_are_not_repeated(
    server: TokenServer, shop_channel: grpc.Channel, kind: str
) -> None:
    server.refuses = {"access-1"}
    assert refused(lambda: call(shop_channel, kind)).code() is UNAUTHENTICATED
    assert server.seen == ["access-1"]


def test_a_stream_that_has_delivered_is_not_repeated(server: TokenServer, shop_channel: grpc.Channel) -> None:
    multi: Any = shop_channel.unary_stream(path("unary_stream"))
    answers = multi(b"break", timeout=SOON)
    assert next(answers) == b"access-1"
    assert refused(lambda: next(answers)).code() is UNAUTHENTICATED
    assert (server.seen, server.refreshes) == (["access-1"], [])


def test_where_there_is_no_other_token_the_refusal_stands_and_the_next_call_says_why(
    server: TokenServer, caller: Session, shop_channel: grpc.Channel
) -> None:
    server.refuses, server.on_refresh = {"access-1"}, over
    assert refused(lambda: call(shop_channel)).code() is UNAUTHENTICATED
    for _ in range(2):
        with pytest.raises(LoginNeeded) as caught:
            call(shop_channel)
        assert caught.value.reason == "SESSION_ENDED"
    caller.login("ada", PASSWORD)
    assert call(shop_channel)[0] == caller.access_token().encode()


def test_futures_carry_the_token_and_are_not_repeated(server: TokenServer, shop_channel: grpc.Channel) -> None:
    multi: Any = shop_channel.unary_unary(path("unary_unary"))
    calls = [multi.future(b"x", timeout=SOON) for _ in range(20)]
    assert {future.result() for future in calls} == {b"access-1"}
    server.refuses = {"access-1"}
    error = refused(multi.future(b"x", timeout=SOON).result)
    assert error.code() is UNAUTHENTICATED
    assert (server.seen[20:], server.refreshes) == (["access-1"], [])


def test_a_future_that_is_refused_before_it_is_looked_at_is_not_repeated(server: TokenServer, caller: Session) -> None:
    class Late(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            future = continuation(details, request)
            refused(future.result)
            return future

    server.refuses = {"access-1"}
    with grpc.insecure_channel(server.address) as plain:
        channel = caller.attach(grpc.intercept_channel(plain, Late()))
        multi: Any = channel.unary_unary(path("unary_unary"))
        assert refused(multi.future(b"x", timeout=SOON).result).code() is UNAUTHENTICATED
    assert (server.seen, server.refreshes) == (["access-1"], [])


def test_a_future_carries_a_callers_own_authorization_and_says_why_there_is_no_token(
    server: TokenServer, shop_channel: grpc.Channel
) -> None:
    multi: Any = shop_channel.unary_unary(path("unary_unary"))
    own = multi.future(b"x", timeout=SOON, metadata=(("authorization", "Bearer own"),))
    assert own.result() == b"own"
    with Session(server.address) as stranger, stranger.channel(server.address) as channel:
        multi = channel.unary_unary(path("unary_unary"))
        future = multi.future(b"x", timeout=SOON)
        with pytest.raises(LoginNeeded):
            future.result()
    assert server.seen == ["own"]


def test_an_attached_channel_is_a_channel(server: TokenServer, caller: Session) -> None:
    seen: list[Any] = []

    class Noting(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            seen.append(details.method)
            return continuation(details, request)

    with caller.channel(server.address) as channel:
        grpc.channel_ready_future(channel).result(SOON)
        channel.subscribe(seen.append)
        channel.unsubscribe(seen.append)
        seen.clear()
        around = grpc.intercept_channel(channel, Noting())
        server.refuses = {"access-1"}
        multi: Any = around.unary_unary(path("unary_unary"))
        answer, ended = multi.with_call(b"x", timeout=SOON)
        assert (answer, ended.code()) == (b"access-2", grpc.StatusCode.OK)
        assert multi.future(b"x", timeout=SOON).result() == b"access-2"
    assert seen == [path("unary_unary")] * 2
    with pytest.raises(ValueError, match="closed"):
        call(channel)


def test_a_stream_may_be_cancelled_and_asked_for_its_end(server: TokenServer, shop_channel: grpc.Channel) -> None:
    server.refuses = {"access-1"}
    multi: Any = shop_channel.unary_stream(path("unary_stream"))
    answers = multi(b"wait", timeout=SOON)
    assert next(answers) == b"access-2"
    answers.cancel()
    assert refused(lambda: next(answers)).code() is grpc.StatusCode.CANCELLED
    assert answers.code() is grpc.StatusCode.CANCELLED
