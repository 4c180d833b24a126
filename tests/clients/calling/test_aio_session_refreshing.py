"""A session's token on asyncio is replaced once, however many tasks need it, until its end."""

import asyncio
import threading
from typing import Any

import pytest
from authclient import LoginNeeded

from tests.clients.calling.aio_callers import Caller, claim, eventually, holding, refused
from tests.clients.eventually import SOON
from tests.clients.guarded import KINDS, UNAUTHENTICATED, UNAVAILABLE
from tests.clients.scripted import refuse
from tests.clients.token_server import TokenServer, away, over
from tests.observed import PASSWORD


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
    await eventually(lambda: caller.session._keeping.refresh is None, "the refresh is over")
    assert await caller.session.access_token() == "access-2"


@claim
async def test_a_failing_refresh_disturbs_nobody_until_the_token_ends(server: TokenServer, caller: Caller) -> None:
    server.on_refresh = away
    caller.hands.now += 800
    assert [await caller.call() for _ in range(20)] == [[b"access-1"]] * 20
    await eventually(lambda: caller.session._keeping.refresh is None, "the attempt is over")
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
async def test_a_clock_that_is_wrong_for_a_while_ends_no_session(server: TokenServer, caller: Caller) -> None:
    server.refuses, server.reason = {"access-1"}, ("TOKEN_NOT_YET_VALID", "authservice")
    server.on_refresh = lambda _token, context: refuse(context, UNAUTHENTICATED, "TOKEN_NOT_YET_VALID")
    assert (await refused(caller.call())).code() is UNAUTHENTICATED
    server.on_refresh = lambda _token, _context: None
    assert await caller.call() == [b"access-2"]


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
    await eventually(lambda: caller.session._keeping.refresh is None, "the refresh is over")
    assert await caller.session.access_token() == hers != "access-1"


@claim
async def test_close_leaves_no_task_even_in_the_middle_of_a_refresh(server: TokenServer, caller: Caller) -> None:
    asked, answer = threading.Event(), threading.Event()
    server.on_refresh = holding(asked, answer)
    caller.hands.now += 800
    await caller.session.access_token()
    await eventually(asked.is_set, "the refresh is under way")
    assert [task for task in asyncio.all_tasks() if "in_task" in repr(task)]
    await caller.session.close()
    assert not [task for task in asyncio.all_tasks() if "in_task" in repr(task)]
    answer.set()
