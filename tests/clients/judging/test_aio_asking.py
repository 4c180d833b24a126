"""An asyncio server waits and asks without keeping others waiting, and denies where that fails."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from authapi.v1.rule_pb2 import Rule
from authclient import Trust
from google.protobuf.duration_pb2 import Duration

from tests.clients.aio_guarded import AioGuarded
from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON
from tests.clients.guarded import OK, PUBLIC, SIGNED_IN, UNAUTHENTICATED, UNAVAILABLE, begin, path
from tests.clients.noted import Noted
from tests.clients.scripted import GOOD, SECONDS, SNAPSHOT_END, bearer, identity, refuse, step, token
from tests.clients.shapes import OPEN_SHAPES, SHAPES, name
from tests.clients.stand_ins import CANARY, unreachable
from tests.clients.trusts import NewTrust

ASK = Rule(authenticated=True, max_staleness=Duration())


def test_where_nothing_is_known_here_verify_is_asked(auth: AuthServer, trust: Trust, noted: Noted) -> None:
    with AioGuarded(trust, noted.by_shape, dict.fromkeys(noted.by_shape, ASK)) as served:
        for shape in SHAPES:
            auth.verify = lambda *_: identity()
            assert served.call(shape, metadata=GOOD).code is OK, name(shape)
            auth.verify = lambda _, context: refuse(context, UNAUTHENTICATED, "SESSION_ENDED")
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (UNAUTHENTICATED, "SESSION_ENDED"), name(shape)
            auth.verify = lambda _, context: refuse(context, UNAVAILABLE, "STORAGE_UNAVAILABLE")
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (UNAVAILABLE, "VERIFICATION_UNAVAILABLE"), name(shape)
    assert len(auth.shown) == 3 * len(SHAPES)
    assert len(noted.callers) == len(SHAPES)


Silence = tuple[threading.Event, threading.Event]


@pytest.fixture
def silence(auth: AuthServer) -> Iterator[Silence]:
    """Make Verify hang. Yields what says that somebody asks, and what ends it."""
    asked, over = threading.Event(), threading.Event()

    def hang(request: Any, context: Any) -> Any:
        asked.set()
        over.wait(SOON)
        return identity()

    auth.verify = hang
    yield asked, over
    over.set()


def test_while_verify_hangs_others_are_served(trust: Trust, noted: Noted, silence: Silence) -> None:
    asked, over = silence
    strict = {f"Strict_{name}": each for name, each in noted.by_shape.items()}
    rules = dict.fromkeys(strict, ASK) | dict.fromkeys(noted.by_shape, SIGNED_IN)
    pool = ThreadPoolExecutor(16)
    with AioGuarded(trust, strict | noted.by_shape, rules, pool=pool) as served, pool:
        waiting = [
            begin(served.channel, shape[1], path(f"Strict_{name(shape)}"), metadata=GOOD, timeout=SOON)
            for shape in SHAPES
        ]
        assert asked.wait(SOON)
        for shape in SHAPES:
            assert served.call(shape, metadata=GOOD).code is OK, name(shape)
        assert not any(call.done() for call in waiting)
        over.set()
        for call, shape in zip(waiting, SHAPES, strict=True):
            assert (list(call) if shape[1].endswith("_stream") else [call.result()]) == [b"hello"], name(shape)


def test_while_calls_wait_for_the_first_view_others_are_served(
    scripted: AuthServer, new_trust: NewTrust, noted: Noted
) -> None:
    trust = new_trust(scripted, patience=SOON)
    watch = scripted.next_watch()
    public = {f"Public_{name}": each for name, each in noted.by_shape.items()}
    rules = dict.fromkeys(public, PUBLIC) | dict.fromkeys(noted.by_shape, SIGNED_IN)
    pool = ThreadPoolExecutor(16)
    with AioGuarded(trust, public | noted.by_shape, rules, pool=pool) as served, pool:
        waiting = [begin(served.channel, shape[1], path(name(shape)), metadata=GOOD, timeout=SOON) for shape in SHAPES]
        for shape in SHAPES:
            assert served.call(shape, method=f"Public_{name(shape)}").code is OK, name(shape)
        assert not any(call.done() for call in waiting)
        watch.say(step(SNAPSHOT_END, opened=100.0, read=100.0, keys=scripted.keys))
        for call, shape in zip(waiting, SHAPES, strict=True):
            assert (list(call) if shape[1].endswith("_stream") else [call.result()]) == [b"hello"], name(shape)


def test_when_neither_can_answer_a_call_is_unavailable(new_trust: NewTrust, noted: Noted) -> None:
    trust = new_trust("127.0.0.1:1", patience=0.01)
    with AioGuarded(trust, noted.by_shape) as served:
        for shape in SHAPES:
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (UNAVAILABLE, "VERIFICATION_UNAVAILABLE"), name(shape)
    assert noted.callers == []


BROKEN: dict[str, Callable[[Trust, pytest.MonkeyPatch], None]] = {
    "judge": lambda trust, patch: patch.setattr(trust.judge, "judge", unreachable),
    "admit": lambda trust, patch: patch.setattr(trust.judge, "admit", unreachable),
    "view": lambda trust, patch: patch.setattr(trust.knowledge, "view_age", unreachable),
    "clock": lambda trust, patch: patch.setattr(trust.knowledge, "now", unreachable),
}


@pytest.mark.parametrize("part", BROKEN)
def test_a_failure_inside_the_guard_denies_and_tells_nobody(
    trust: Trust, noted: Noted, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    with AioGuarded(trust, noted.by_shape) as served, monkeypatch.context() as patch:
        BROKEN[part](trust, patch)
        for shape in SHAPES:
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (UNAVAILABLE, "VERIFICATION_UNAVAILABLE"), name(shape)
            assert CANARY not in answer.text
    assert noted.callers == []


def test_a_failure_while_a_stream_is_taken_into_care_denies(
    trust: Trust, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AioGuarded(trust, noted.by_shape) as served, monkeypatch.context() as patch:
        assert served.interceptor
        patch.setattr(served.interceptor._leases, "_judge", unreachable)
        for shape in OPEN_SHAPES:
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (UNAVAILABLE, "VERIFICATION_UNAVAILABLE"), name(shape)
            assert CANARY not in answer.text
        assert served.leases == 0
    assert noted.callers == []


def test_a_failure_in_asking_denies(trust: Trust, noted: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "ask", unreachable)
    monkeypatch.setattr(trust, "ask_async", unreachable)
    with AioGuarded(trust, noted.by_shape, dict.fromkeys(noted.by_shape, ASK)) as served:
        for shape in SHAPES:
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (UNAVAILABLE, "VERIFICATION_UNAVAILABLE"), name(shape)
            assert CANARY not in answer.text
    assert noted.callers == []


def test_no_token_is_logged_whatever_becomes_of_it(
    trust: Trust, noted: Noted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [token(jti="one"), token(jti="two", sub=""), token(exp=SECONDS - 600, iat=SECONDS - 700)]
    with AioGuarded(trust, noted.by_shape) as served:
        for text in texts:
            for shape in SHAPES:
                served.call(shape, metadata=bearer(text))
        monkeypatch.setattr(trust.judge, "admit", unreachable)
        answer = served.call(SHAPES[0], metadata=bearer(texts[0]))
    assert CANARY in caplog.text
    assert not any(text in caplog.text + answer.text for text in texts)
