"""A session's token is replaced ahead of time, once, however many threads need it."""

import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authclient import Session
from authclient._calling.held_tokens import HeldTokens
from google.protobuf.timestamp_pb2 import Timestamp

from tests.clients.calling.calls import call, refused
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import KINDS, UNAVAILABLE
from tests.clients.scripted import SECONDS, refuse
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer, away, over
from tests.observed import PASSWORD


def test_fifty_threads_that_need_a_refresh_cause_one_and_all_get_the_successor(
    server: TokenServer, caller: Session, hands: Hands
) -> None:
    hands.now += 899
    together = threading.Barrier(50)

    def ask(_: int) -> str:
        together.wait(SOON)
        return caller.access_token()

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(ask, range(50))) == {"access-2"}
    assert server.refreshes == ["refresh-1"]


def test_fifty_calls_that_are_refused_at_once_cause_one_refresh(
    server: TokenServer, shop_channel: grpc.Channel
) -> None:
    server.refuses = {"access-1"}
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: call(shop_channel), range(50)))
    assert answers == [[b"access-2"]] * 50
    assert server.refreshes == ["refresh-1"]


def test_threads_that_wait_share_a_failure_too(server: TokenServer, caller: Session, hands: Hands) -> None:
    server.on_refresh = over
    hands.now += 899
    with ThreadPoolExecutor(20) as pool:
        found = [pool.submit(caller.access_token) for _ in range(20)]
    assert {getattr(each.exception(), "reason", None) for each in found} == {"SESSION_ENDED"}
    assert server.refreshes == ["refresh-1"]


def test_a_token_is_replaced_ahead_of_time_while_calls_go_on_with_it(
    server: TokenServer, caller: Session, hands: Hands
) -> None:
    answer = threading.Event()
    server.on_refresh = lambda *_: answer.wait(SOON)
    hands.now += 900 * 0.6 - 1
    assert caller.access_token() == "access-1"
    assert server.refreshes == []
    hands.now = 1000 + 900 * 0.85 + 1
    assert [caller.access_token() for _ in range(10)] == ["access-1"] * 10, "nobody waits"
    eventually(lambda: server.refreshes == ["refresh-1"], "it is refreshed once")
    answer.set()
    eventually(lambda: caller.access_token() == "access-2", "the successor is used")
    assert server.refreshes == ["refresh-1"]


def test_callers_do_not_refresh_together_and_never_late() -> None:
    tokens = api.SessionTokens(access_token_expire_time=Timestamp(seconds=SECONDS + 900))
    held = [HeldTokens.received(tokens, Timestamp(seconds=SECONDS), 0.0) for _ in range(500)]
    moments = [each.refresh_at for each in held]
    assert 540 <= min(moments) < 600
    assert 700 < max(moments) <= 765
    assert len(set(moments)) > 490
    assert {each.usable_until for each in held} == {895.0}


@pytest.mark.parametrize("life", [1, 10, 30, 60, 900, 3600])
def test_a_token_is_not_used_in_its_last_seconds(server: TokenServer, hands: Hands, life: int) -> None:
    server.life = life
    with Session(server.address, monotonic=hands) as caller:
        caller.login("ada", PASSWORD)
        held = caller._keeping._holding.require()
        assert held
        assert held.refresh_at <= held.usable_until < hands.now + life
        hands.now += life - min(5, life * 0.15)
        assert caller.access_token() == "access-2"


def test_while_the_token_is_good_a_failing_refresh_disturbs_nobody(
    server: TokenServer, caller: Session, shop_channel: grpc.Channel, hands: Hands
) -> None:
    server.on_refresh = away
    hands.now += 800
    assert [call(shop_channel) for _ in range(20)] == [[b"access-1"]] * 20
    eventually(lambda: caller._keeping.refresh is None, "the attempt is over")
    assert server.refreshes == ["refresh-1"] * 4
    assert call(shop_channel) == [b"access-1"]
    assert len(server.refreshes) == 4, "the next attempt is a while off"
    server.on_refresh = lambda *_: None
    hands.now += 3
    assert call(shop_channel) == [b"access-1"]
    eventually(lambda: caller.access_token() == "access-2", "the next attempt")


def test_when_the_token_is_not_good_a_failing_refresh_raises_and_the_next_call_tries_again(
    server: TokenServer, shop_channel: grpc.Channel, hands: Hands
) -> None:
    server.on_refresh = away
    hands.now += 896
    for kind in KINDS:
        assert refused(functools.partial(call, shop_channel, kind)).code() is UNAVAILABLE
    assert server.seen == []
    server.on_refresh = lambda *_: None
    assert call(shop_channel) == [b"access-2"]


def test_an_answer_that_is_lost_is_asked_for_again_with_the_same_refresh_token(
    server: TokenServer, caller: Session, hands: Hands
) -> None:
    server.on_refresh = lambda *arguments: away(*arguments) if len(server.refreshes) < 3 else None
    hands.now += 899
    assert caller.access_token() == "access-2"
    assert server.refreshes == ["refresh-1"] * 3
    hands.now += 899
    assert caller.access_token() == "access-3"
    assert server.refreshes[-1] == "refresh-2"


def test_a_refresh_that_meets_the_end_of_a_server_is_asked_for_again(server: TokenServer, caller: Session) -> None:
    def stopping(_: str, context: grpc.ServicerContext) -> None:
        if len(server.refreshes) == 1:
            refuse(context, grpc.StatusCode.CANCELLED)  # as grpc's server does by itself

    server.on_refresh = stopping
    assert caller.replace("access-1") == "access-2"
    assert server.refreshes == ["refresh-1"] * 2


def test_a_wrong_clock_of_this_machine_does_no_harm(server: TokenServer, caller: Session, hands: Hands) -> None:
    assert abs(time.time() - SECONDS) > 86400, "the service lives in January 2026"
    hands.now += 900 * 0.6 - 1
    assert caller.access_token() == "access-1"
    assert server.refreshes == []
    hands.now += 900
    assert caller.access_token() == "access-2"
