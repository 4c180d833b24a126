"""A machine that slept knows when it wakes how old its tokens are."""

import inspect
import time
from typing import Any

import grpc
import pytest
from authclient import Session, Trust, aio, reason_of

from tests.clients.calling.calls import call, refused
from tests.clients.eventually import SOON
from tests.clients.guarded import KINDS, UNAUTHENTICATED, path
from tests.clients.scripted import refuse
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer
from tests.observed import PASSWORD


def clock_of(kind: type) -> Any:
    return inspect.signature(kind).parameters["monotonic"].default


@pytest.mark.parametrize("kind", [Session, aio.Session], ids=["threads", "asyncio"])
def test_a_session_counts_by_the_clock_that_trust_counts_by(kind: type) -> None:
    assert clock_of(kind) is clock_of(Trust)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no clock that counts its sleep")
def test_that_clock_goes_on_while_the_machine_sleeps() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= clock_of(Session)() <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_nobody_gets_a_token_that_ended_while_the_machine_slept(server: TokenServer, hands: Hands) -> None:
    server.life = 15
    with Session(server.address, monotonic=hands) as caller, caller.channel(server.address) as shop:
        caller.login("ada", PASSWORD)
        hands.now += 50
        echo: Any = shop.unary_unary(path("unary_unary"))
        assert echo.future(b"x", timeout=SOON).result() == b"access-2"
        hands.now += 50
        assert caller.access_token() == "access-3"
        assert server.refreshes == ["refresh-1", "refresh-2"]


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_token_that_a_clock_makes_too_early_is_renewed(
    server: TokenServer, caller: Session, shop_channel: grpc.Channel, kind: str
) -> None:
    server.refuses, server.reason = {"access-1"}, ("TOKEN_NOT_YET_VALID", "authservice")
    assert call(shop_channel, kind)[0] == b"access-2"
    assert caller.access_token() == "access-2"


@pytest.mark.parametrize("reason", ["TOKEN_NOT_YET_VALID", ""], ids=["too early", "from something on the way"])
def test_a_refresh_that_is_refused_for_a_clock_or_by_a_proxy_ends_no_session(
    server: TokenServer, caller: Session, hands: Hands, reason: str
) -> None:
    server.on_refresh = lambda _token, context: refuse(context, UNAUTHENTICATED, reason)
    hands.now += 899
    error = refused(caller.access_token)
    assert (error.code(), reason_of(error.trailing_metadata())) == (UNAUTHENTICATED, reason or None)
    server.on_refresh = lambda _token, _context: None
    assert caller.access_token() == "access-2"
    assert server.refreshes == ["refresh-1"] * 2
