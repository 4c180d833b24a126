"""A thread of the client that dies is begun anew, and while it is gone nothing that needs it is let through."""

import ctypes
import logging
import threading
from collections.abc import Callable, Iterator

import pytest
from authclient import Trust
from authclient._serving import leases
from authclient._waiting import lasting

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import eventually
from tests.clients.guarded import Guarded, handler, summary
from tests.clients.scripted import SECONDS, bearer, ended, token, uuid
from tests.clients.serving.open_streams import Stream
from tests.clients.serving.test_streams_asking import opened, stays_open
from tests.clients.stand_ins import Heard, unreachable

UNKNOWN_YET = "UNAVAILABLE VERIFICATION_UNAVAILABLE"


@pytest.fixture
def stays(timed: Trust) -> Iterator[Guarded]:
    with Guarded(timed, {"stays": handler("unary_stream", stays_open)}) as shop:
        yield shop


@pytest.fixture
def broken_clock(timed: Trust, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets every round of the clock fail from now on."""
    monkeypatch.setattr(lasting, "PAUSE_SECONDS", 0.01)
    return lambda: monkeypatch.setattr(timed._watch._clock, "_work", unreachable)


def kill(name: str) -> threading.Thread:
    """Raise SystemExit in a thread, wherever it is, until it is gone or begun anew."""
    [thread] = [each for each in threading.enumerate() if each.name == name]
    assert (
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)) == 1
    )
    return thread


@pytest.mark.parametrize("name", ["authclient-trust", "authclient-clock"])
def test_a_thread_that_was_killed_is_begun_anew_logged_and_counted(
    auth: AuthServer, timed: Trust, stays: Guarded, heard: Heard, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    [stream] = opened(stays, 1)
    kill(name)
    eventually(lambda: heard.failed_threads == [name], "it is counted")
    assert [record.levelno for record in caplog.records if name in record.getMessage()] == [logging.ERROR]
    auth.revoke(ended(uuid(0)))
    eventually(lambda: timed.knowledge.view.sessions, "the rule")
    assert summary(stream.end()) == "UNAUTHENTICATED SESSION_ENDED"
    eventually(lambda: not timed._watch.unwatched_seconds(), "the clock goes on")


def test_a_thread_that_is_gone_for_good_is_begun_anew_by_the_other(
    auth: AuthServer, timed: Trust, stays: Guarded, heard: Heard
) -> None:
    for thread in timed._watch.threads:
        thread._thread = threading.Thread(target=lambda: None)  # As one that has died, in whatever way.
        eventually(lambda thread=thread: thread.name in heard.failed_threads, "it is begun anew")  # type: ignore[misc]
        assert thread.is_alive()


def test_no_stream_is_opened_while_nobody_looks_at_the_time(
    timed: Trust, stays: Guarded, heard: Heard, broken_clock: Callable[[], None]
) -> None:
    broken_clock()
    eventually(lambda: "authclient-clock" in heard.failed_threads, "it fails")
    assert summary(stays.call("unary_stream", name="stays", metadata=bearer(token()))) == UNKNOWN_YET


def test_open_streams_end_where_nobody_looks_at_the_time_for_long(
    timed: Trust, stays: Guarded, broken_clock: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "UNWATCHED_SECONDS", 0.2)
    [stream] = opened(stays, 1)
    broken_clock()
    assert summary(stream.end()) == UNKNOWN_YET


def test_a_token_ends_its_stream_in_time_although_the_clock_fails_now_and_then(
    auth: AuthServer, timed: Trust, stays: Guarded, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    works, turns = timed._watch._clock._work, iter(range(1_000_000))

    def every_other() -> None:
        (unreachable if next(turns) % 2 else works)()

    stream = Stream(stays, "unary_stream", token(exp=SECONDS + 100), method="stays")
    eventually(lambda: stays.leases == 1, "it is open")
    monkeypatch.setattr(timed._watch._clock, "_work", every_other)
    eventually(lambda: len(heard.failed_threads) > 2, "it fails")
    auth.time = SECONDS + 131
    assert summary(stream.end()) == "UNAUTHENTICATED TOKEN_EXPIRED"
