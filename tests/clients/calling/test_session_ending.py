"""A logout or a login is for good, and a closed session leaves nothing behind."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authclient import LoginNeeded, Session

from tests.clients.calling.calls import call
from tests.clients.eventually import SOON, eventually
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer, away, over
from tests.observed import PASSWORD


def test_logout_ends_the_session(server: TokenServer, caller: Session, shop_channel: grpc.Channel) -> None:
    assert caller.logout() == 1
    assert server.logouts == [("refresh-1", "access-1")]
    assert caller.logout() == 0
    with pytest.raises(LoginNeeded):
        call(shop_channel)


@pytest.mark.parametrize("ending", [lambda *_: None, away, over], ids=["answered", "away", "over"])
def test_a_logout_while_a_refresh_is_under_way_is_for_good(
    server: TokenServer, caller: Session, hands: Hands, ending: Callable[..., None]
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hold(*arguments: Any) -> None:
        asked.set()
        answer.wait(SOON)
        ending(*arguments)

    server.on_refresh = hold
    hands.now += 899
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(caller.access_token)
        assert asked.wait(SOON)
        assert caller.logout() == 1
        answer.set()
        assert isinstance(waiting.exception(SOON), LoginNeeded | grpc.RpcError)
    with pytest.raises(LoginNeeded):
        caller.access_token()


@pytest.mark.parametrize("ending", [lambda *_: None, away, over], ids=["answered", "away", "over"])
def test_a_login_while_a_refresh_is_under_way_is_kept(
    server: TokenServer, caller: Session, hands: Hands, ending: Callable[..., None]
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hold(*arguments: Any) -> None:
        asked.set()
        answer.wait(SOON)
        ending(*arguments)

    server.on_refresh = hold
    hands.now += 800
    assert caller.access_token() == "access-1"
    assert asked.wait(SOON)
    caller.login("bob", PASSWORD)
    hers = caller.access_token()
    assert hers != "access-1"
    answer.set()
    eventually(lambda: caller._keeping.refresh is None, "the refresh is over")
    assert caller.access_token() == hers


def test_close_leaves_no_thread_even_in_the_middle_of_a_refresh(
    server: TokenServer, caller: Session, hands: Hands
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hold(*_: Any) -> None:
        asked.set()
        answer.wait(SOON)

    server.on_refresh = hold
    hands.now += 800
    caller.access_token()
    assert asked.wait(SOON)
    caller.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("authclient")]
    answer.set()


def test_a_channel_that_was_handed_over_is_not_closed(server: TokenServer) -> None:
    with grpc.insecure_channel(server.address) as own:
        with Session(own) as caller:
            caller.login("ada", PASSWORD)
        caller.login("ada", PASSWORD)
        assert call(caller.attach(own)) == [b"access-2"]
