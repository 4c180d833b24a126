"""Who waits for Verify does not keep those from being served who need no answer."""

import asyncio
import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authapi.v1.rule_pb2 import Rule
from authclient import Refused, Trust
from authclient._judging.guard import ASK_SECONDS
from authclient._judging.verified import Ask
from authclient._view import connection, hearing, watch
from google.protobuf.duration_pb2 import Duration

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import OK, PUBLIC, Guarded, handler, summary
from tests.clients.scripted import GOOD, identity, token
from tests.clients.trusts import NewTrust
from tests.clients.view.addresses import free_port
from tests.gateway import Gateway

THREADS, CALLS = 16, 40
STRICT = Rule(authenticated=True, max_staleness=Duration())
REFUSED = "UNAVAILABLE VERIFICATION_UNAVAILABLE"


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass faster. The heart of the service that is played beats ten times as fast as well."""
    for name, seconds in (("ANSWER_SECONDS", 0.5), ("LATE_SECONDS", 1.0), ("TRIAL_SECONDS", 0.2)):
        monkeypatch.setattr(hearing, name, seconds)
    for name, seconds in (("SILENCE_SECONDS", 0.5), ("CONNECT_SECONDS", 0.2), ("TICK_SECONDS", 0.05)):
        monkeypatch.setattr(watch, name, seconds)
    monkeypatch.setattr(connection, "ANOTHER_AFTER", 0.5)


@pytest.fixture
def auth() -> Iterator[AuthServer]:
    with AuthServer() as server:  # type: ignore[abstract]  # what it does not play answers UNIMPLEMENTED
        server.verify = lambda _request, _context: identity()
        yield server


@pytest.fixture
def way(auth: AuthServer) -> Iterator[Gateway]:
    with Gateway(auth.port) as gateway:
        yield gateway


@pytest.fixture
def trust(way: Gateway, new_trust: NewTrust) -> Trust:
    made = new_trust(f"127.0.0.1:{way.port}")
    assert made.wait_until_ready(SOON)
    return made


class Shop:
    """A service of few threads, one method of which asks Verify each time, and one of which is for anybody."""

    def __init__(self, trust: Trust) -> None:
        answer = handler("unary_unary", lambda request, _context: request)
        rules = {"buy": STRICT, "look": PUBLIC}
        self._served = Guarded(trust, dict.fromkeys(rules, answer), rules, threads=THREADS)
        self._queue: queue.SimpleQueue[Any] = self._served._pool._work_queue
        self._callers = ThreadPoolExecutor(CALLS)

    def __enter__(self) -> "Shop":
        return self

    def __exit__(self, *_: object) -> None:
        self._callers.shutdown()
        self._served.__exit__()

    def buy(self, **options: Any) -> str:
        return summary(self._served.call("unary_unary", name="buy", metadata=GOOD, **options))

    def rush(self, **options: Any) -> tuple[float, Counter[str]]:
        """Let many buy at once. Returns how long somebody waits who only looks, and what the others hear."""
        calls = [self._callers.submit(self.buy, **options) for _ in range(CALLS)]
        eventually(lambda: self._queue.qsize() or all(call.done() for call in calls), "a queue")
        begin = time.monotonic()
        assert self._served.call("unary_unary", name="look").code is OK
        waited = time.monotonic() - begin
        return waited, Counter(call.result() for call in calls)


class Waits:
    """How long each question may wait that is to be put to the service, in seconds; 0 of those that are not put."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.granted: list[float] = []
        monkeypatch.setattr(hearing.Hearing, "patience", self._noting(hearing.Hearing.patience))

    def _noting(self, patience: Callable[[hearing.Hearing], float]) -> Callable[[hearing.Hearing], float]:
        def noted(asked: hearing.Hearing) -> float:
            seconds = patience(asked)
            self.granted.append(seconds)
            return seconds

        return noted

    @contextlib.contextmanager
    def tried_only(self) -> Iterator[None]:
        """Hold that meanwhile nobody waits but one in each period, who tries, and not for long."""
        self.granted.clear()
        begin = time.monotonic()
        yield
        trials = [seconds for seconds in self.granted if seconds]
        assert set(trials) <= {hearing.TRIAL_SECONDS}
        assert len(trials) <= 1 + (time.monotonic() - begin) / hearing.TRIAL_PERIOD
        assert len(trials) < len(self.granted), "others were not put"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    return Waits(monkeypatch)


@pytest.mark.parametrize("deadline", [SOON, 0.3])
def test_a_service_that_says_nothing_holds_the_threads_of_others_once_and_shortly(
    trust: Trust, way: Gateway, deadline: float, waits: Waits
) -> None:
    way.freeze()
    with Shop(trust) as shop:
        rushes = [shop.rush(timeout=deadline)[0]]
        while 0 not in waits.granted and len(rushes) <= 3:
            rushes.append(shop.rush(timeout=deadline)[0])
        print("who needs no answer waits", *(f"{each:.2f}" for each in rushes), "s")
        assert rushes[0] < ASK_SECONDS
        assert len(rushes) <= 3
        with waits.tried_only():
            for _ in range(3):
                assert shop.rush()[1] == {REFUSED: CALLS}


@pytest.mark.parametrize("deadline", [1.5, 0.3])
def test_so_does_one_whose_verify_alone_says_nothing(
    trust: Trust, auth: AuthServer, deadline: float, waits: Waits
) -> None:
    over = threading.Event()
    auth.verify = lambda _request, _context: over.wait(SOON) and identity()
    with Shop(trust) as shop:
        eventually(lambda: shop.rush(timeout=deadline) and 0 in waits.granted, "that nobody is asked")
        with waits.tried_only():
            assert shop.rush()[1] == {REFUSED: CALLS}
        over.set()
        eventually(lambda: shop.buy() == "OK None", "an answer, which ends it")
        assert shop.rush()[1] == {"OK None": CALLS}


def test_calls_before_the_first_view_wait_for_it_once(new_trust: NewTrust) -> None:
    patience = 2.0
    with Shop(new_trust(f"127.0.0.1:{free_port()}", patience=patience)) as shop:
        first, later = shop.rush()[0], [shop.rush()[0] for _ in range(3)]
    print("who needs no answer waits", f"{first:.2f}", *(f"{each:.2f}" for each in later), "s")
    assert sum(later) < patience


def test_nobody_is_refused_by_a_service_that_is_slow(
    trust: Trust, auth: AuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stream is heard meanwhile, so it is waited for."""
    done = threading.Event()
    monkeypatch.setattr(hearing, "ANSWER_SECONDS", 1.0)  # Ten beats, of which a busy machine may be late with some.
    monkeypatch.setattr(watch, "SILENCE_SECONDS", 5.0)

    def slowly(_request: object, context: grpc.ServicerContext) -> Any:
        done.wait(1.3 * hearing.ANSWER_SECONDS)
        return identity()

    auth.verify = slowly
    with ThreadPoolExecutor(6) as callers:
        found = [callers.submit(trust.ask, Ask(token()), ASK_SECONDS) for _ in range(6)]
        assert {each.result().known.user_id for each in found} == {identity().identity.user_id}


def test_after_a_silence_the_first_answer_lets_everybody_in(trust: Trust, way: Gateway) -> None:
    with Shop(trust) as shop:
        way.freeze()
        assert set(shop.rush()[1]) == {REFUSED}
        way.delay = 0.0
        eventually(lambda: shop.buy() == "OK None", "an answer", 2 * SOON)
        assert shop.rush()[1] == {"OK None": CALLS}


def test_tasks_that_ask_are_few_while_nothing_is_heard(trust: Trust, auth: AuthServer) -> None:
    over = threading.Event()
    auth.verify = lambda _request, _context: over.wait(SOON) and identity()

    async def refusals() -> set[str]:
        found = await asyncio.gather(*(trust.ask_async(Ask(token()), 1.2) for _ in range(8)), return_exceptions=True)
        return {each.reason if isinstance(each, Refused) else repr(each) for each in found}

    assert asyncio.run(refusals()) == {"VERIFICATION_UNAVAILABLE"}
    asked = len(auth.shown)
    assert asyncio.run(refusals()) == {"VERIFICATION_UNAVAILABLE"}
    over.set()
    assert len(auth.shown) <= asked + 1
