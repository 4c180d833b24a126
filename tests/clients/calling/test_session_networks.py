"""A session outlives connections that die without a word, and waits for those that take long to come about."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authclient import Session, aio
from authclient._calling import keeping
from authclient._calling.held_tokens import SILENCE_SECONDS

from tests.clients.calling.calls import refused
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer
from tests.gateway import Gateway
from tests.observed import PASSWORD

IN_FULL = "AUTHSERVICE_TEST_NETWORKS" in os.environ
PACE = 1 if IN_FULL else 10
"""How much shorter than in truth answers are waited for."""
RECOVERY_SECONDS = 10.0
"""Within which a session has to be well again once there is a way to the service."""
SLOW_SECONDS = [3.0, 15.0] if IN_FULL else [1.5]
"""What a connection takes to come about: more than grpc waits where it is told to try again soon."""


@pytest.fixture
def gateway(server: TokenServer) -> Iterator[Gateway]:
    with Gateway(server.port) as made:
        yield made


@pytest.fixture
def address(gateway: Gateway) -> str:
    return f"127.0.0.1:{gateway.port}"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SILENCE_SECONDS", "CALL_SECONDS", "LOGIN_SECONDS"):
        monkeypatch.setattr(keeping, name, getattr(keeping, name) / PACE)


class _Caller:
    """A session of either kind, whose calls wait for what they are after."""

    def __init__(self, session: Any, loop: asyncio.AbstractEventLoop | None) -> None:
        self.session = session
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        work = getattr(self.session, name)
        return lambda *arguments: self._loop.run_until_complete(work(*arguments)) if self._loop else work(*arguments)


@pytest.fixture(params=["threads", "asyncio"])
def caller(request: pytest.FixtureRequest, address: str, hands: Hands) -> Iterator[_Caller]:
    if request.param == "threads":
        with Session(address, monotonic=hands) as session:
            yield _Caller(session, None)
    else:
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            caller = _Caller(aio.Session(address, monotonic=hands), loop)
            yield caller
            caller.close()


@pytest.mark.usefixtures("hasty")
def test_a_refresh_finds_another_way_when_its_connection_has_died_without_a_word(
    server: TokenServer, gateway: Gateway, caller: _Caller, hands: Hands
) -> None:
    caller.login("ada", PASSWORD)
    for number in (2, 3):
        gateway.silence()
        hands.now += 899
        since = time.monotonic()
        assert caller.access_token() == f"access-{number}"
        print(f"\na refresh after a silence: {(took := time.monotonic() - since):.1f} s")
        assert took <= RECOVERY_SECONDS
    assert gateway.taken == 3
    assert len(caller.session._home.line.close()) == 1, "the others are closed"


@pytest.mark.usefixtures("hasty")
def test_a_logout_and_a_later_login_find_another_way_too(
    server: TokenServer, gateway: Gateway, caller: _Caller
) -> None:
    caller.login("ada", PASSWORD)
    gateway.silence()
    assert caller.logout() == 1
    assert server.logouts == [("refresh-1", "access-1")]
    gateway.silence()
    assert refused(lambda: caller.login("ada", PASSWORD)).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    caller.login("ada", PASSWORD)
    assert caller.access_token() == "access-2"


@pytest.mark.usefixtures("hasty")
def test_a_refresh_that_was_given_up_is_repeated_with_the_same_token(
    server: TokenServer, gateway: Gateway, caller: _Caller, hands: Hands
) -> None:
    caller.login("ada", PASSWORD)
    server.on_refresh = lambda *_: gateway.silence() if len(server.refreshes) == 1 else None
    hands.now += 899
    assert caller.access_token() == "access-2", "the server was asked before, and its answer was lost"
    assert set(server.refreshes) == {"refresh-1"}
    assert len(server.refreshes) > 1


@pytest.mark.usefixtures("hasty")
def test_a_channel_that_was_given_is_never_replaced(
    gateway: Gateway, server: TokenServer, address: str, hands: Hands
) -> None:
    with grpc.insecure_channel(address) as channel:
        caller = Session(channel, monotonic=hands)
        caller.login("ada", PASSWORD)
        gateway.silence()
        hands.now += 899
        assert refused(caller.access_token).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        gateway.cut()
        assert caller.access_token() == "access-2"


@pytest.mark.parametrize("seconds", SLOW_SECONDS)
def test_a_login_waits_for_a_connection_that_takes_long_to_come_about(
    gateway: Gateway, caller: _Caller, seconds: float
) -> None:
    gateway.delay = seconds
    since = time.monotonic()
    caller.login("ada", PASSWORD)
    print(f"\na login over a connection that takes {seconds:g} s: {time.monotonic() - since:.1f} s")
    assert caller.access_token() == "access-1"
    assert gateway.taken == 1


@pytest.mark.usefixtures("hasty")
def test_a_refresh_waits_for_one_longer_than_its_first_attempts_do(
    gateway: Gateway, caller: _Caller, hands: Hands
) -> None:
    caller.login("ada", PASSWORD)
    gateway.delay = 3 * SILENCE_SECONDS / PACE
    gateway.cut()
    hands.now += 899
    assert caller.access_token() == "access-2"


@pytest.mark.usefixtures("hasty")
def test_many_who_wait_need_one_new_connection(gateway: Gateway, address: str, hands: Hands) -> None:
    with Session(address, monotonic=hands) as caller, ThreadPoolExecutor(20) as pool:
        caller.login("ada", PASSWORD)
        gateway.silence()
        hands.now += 899
        assert {each.result() for each in [pool.submit(caller.access_token) for _ in range(20)]} == {"access-2"}
    assert gateway.taken == 2
