"""Nobody waits for ever for a refresh that cannot begin, or that never comes to an end."""

import asyncio
import subprocess
import sys
import threading

import grpc
import pytest
from authclient import Session
from authclient._calling import keeping
from authclient._calling.held_tokens import HeldTokens

from tests.clients.calling.aio_callers import Caller, claim, eventually, holding
from tests.clients.calling.calls import refused
from tests.clients.eventually import SOON
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer

THREADLESS = [sys.executable, "-m", "tests.clients.calling.without_threads"]


def test_a_process_that_may_start_no_thread_has_its_tokens_all_the_same(server: TokenServer) -> None:
    told = subprocess.run([*THREADLESS, server.address], capture_output=True, text=True, timeout=6 * SOON, check=False)
    assert told.stdout.splitlines() == [
        "at the limit",
        "access-1",  # It is good for a while.
        "access-2",  # It was not, and is replaced by the thread that needs it.
        "access-2",
        "access-2",  # From here on threads can be started: it is replaced in the background.
        "access-3",
    ], told.stderr


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a refresh for lost at once."""
    monkeypatch.setattr(keeping, "REFRESH_SECONDS", 0.2)


@pytest.mark.usefixtures("impatient")
def test_a_refresh_that_does_not_end_is_waited_for_no_longer_than_it_may_take(
    server: TokenServer, caller: Session, hands: Hands
) -> None:
    answer = threading.Event()
    server.on_refresh = lambda *_: answer.wait(SOON) if len(server.refreshes) == 1 else None
    hands.now += 899
    before = caller._home.line._channel
    assert refused(caller.access_token).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert caller.access_token() == "access-2", "the next attempt works"
    assert caller._home.line._channel is not before, "that may have been the fault of the channel"
    answer.set()


def test_a_thread_that_ends_in_the_middle_of_a_refresh_is_waited_for_no_longer(
    caller: Session, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(HeldTokens, "received", end)
        hands.now += 899
        with pytest.raises(SystemExit):
            caller.access_token()
    assert caller.access_token() == "access-2"


@pytest.mark.usefixtures("impatient")
@claim
async def test_a_task_waits_no_longer_either(server: TokenServer, caller: Caller) -> None:
    answer = threading.Event()
    server.on_refresh = lambda *_: answer.wait(SOON) if len(server.refreshes) == 1 else None
    caller.hands.now += 899
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.session.access_token()
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await caller.session.access_token() == "access-2"
    answer.set()


@claim
async def test_a_refresh_that_was_cancelled_before_it_began_is_begun_again(server: TokenServer, caller: Caller) -> None:
    caller.hands.now += 800
    assert await caller.session.access_token() == "access-1"
    refresh = caller.session._keeping.refresh
    refresh.cancel()
    await asyncio.wait([refresh])
    caller.hands.now += 99
    assert await caller.session.access_token() == "access-2"


@claim
async def test_who_waits_for_a_refresh_that_is_cancelled_is_told_so_and_is_not_cancelled(
    server: TokenServer, caller: Caller
) -> None:
    asked, answer = threading.Event(), threading.Event()
    server.on_refresh = holding(asked, answer)
    caller.hands.now += 899
    asking = asyncio.ensure_future(caller.session.access_token())
    await eventually(asked.is_set, "the refresh is under way")
    caller.session._keeping.refresh.cancel()
    with pytest.raises(grpc.aio.AioRpcError):
        await asking
    answer.set()
