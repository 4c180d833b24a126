"""Connections to the authentication service that die without a word, and ways there that take their time.

With AUTHSERVICE_TEST_NETWORKS the times are those of production; without, the guard is ten times as impatient.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import grpc
import pytest
from authclient import Refused, Trust
from authclient._judging.verified import Ask
from authclient._view import connection, watch

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import eventually
from tests.clients.names import NameServer
from tests.clients.scripted import identity, token
from tests.clients.stand_ins import Heard
from tests.clients.trusts import NewTrust
from tests.gateway import Gateway

IS_REAL = "AUTHSERVICE_TEST_NETWORKS" in os.environ
FAST = 1.0 if IS_REAL else 0.1
PROMISED = 10.0
"""Seconds after there is a way again within which there has to be a view."""
LONG = 60.0
NO_WAY = threading.TIMEOUT_MAX


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass faster, unless it is the real times that are tried."""
    for module, name in (
        (watch, "SILENCE_SECONDS"),
        (watch, "CONNECT_SECONDS"),
        (watch, "CAUSE_SECONDS"),
        (watch, "TICK_SECONDS"),
        (watch, "LONGEST_PAUSE"),
        (connection, "ANOTHER_AFTER"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name) * FAST)


@pytest.fixture
def auth() -> Iterator[AuthServer]:
    with AuthServer() as server:  # type: ignore[abstract]  # what it does not play answers UNIMPLEMENTED
        server.verify = lambda _request, _context: identity(user_name="Grace")
        yield server


@pytest.fixture
def way(auth: AuthServer) -> Iterator[Gateway]:
    with Gateway(auth.port) as gateway:
        yield gateway


def ask(trust: Trust) -> str:
    """Return whom Verify says a good token is of, or why it cannot be asked."""
    try:
        return trust.ask(Ask(token()), 5.0).known.user_name
    except Refused as refused:
        return refused.reason


class Askers:
    """Threads that ask Verify all the time, and note every outcome."""

    def __init__(self, trust: Trust, count: int = 4) -> None:
        self.outcomes: set[str] = set()
        self._trust = trust
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def __enter__(self) -> "Askers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._over.wait(0.01):  # The pace of asking.
            try:
                self.outcomes.add(ask(self._trust))
            except Exception as error:
                self.outcomes.add(repr(error))


def seconds_until_heard(trust: Trust, heard: Heard, connections: int, since: float) -> float:
    """Return how long after a moment there are so many connections, and Verify answers."""
    eventually(lambda: heard.connections >= connections, "a view again", LONG)
    eventually(lambda: ask(trust) == "Grace", "Verify again", LONG)
    took = time.monotonic() - since
    print(f"after {took:.1f} s")
    return took


def test_a_connection_that_dies_without_a_word_is_replaced(way: Gateway, new_trust: NewTrust, heard: Heard) -> None:
    trust = new_trust(f"127.0.0.1:{way.port}")
    with Askers(trust) as askers:
        for times in range(1, 4):
            eventually(lambda times=times: heard.connections >= times and ask(trust) == "Grace", "a view", LONG)  # type: ignore[misc]
            way.silence()
            assert seconds_until_heard(trust, heard, times + 1, time.monotonic()) < PROMISED
    assert {"Grace"} <= askers.outcomes <= {"Grace", "VERIFICATION_UNAVAILABLE"}
    assert way.taken < 12


def test_where_there_is_no_way_for_a_while_the_next_one_is_taken(
    way: Gateway, new_trust: NewTrust, heard: Heard
) -> None:
    """What was sent while there was none stays lost, also of attempts to connect."""
    trust = new_trust(f"127.0.0.1:{way.port}")
    assert trust.wait_until_ready(LONG)
    way.delay = NO_WAY
    way.silence()
    eventually(lambda: way.taken >= 4, "attempts that lead nowhere", LONG)
    way.delay = 0.0
    assert seconds_until_heard(trust, heard, 2, time.monotonic()) < PROMISED


def test_a_question_is_asked_until_a_connection_leads_to_a_server_that_lives(
    way: Gateway, auth: AuthServer, new_trust: NewTrust
) -> None:
    """A balancer that goes on leading to a server that has gone, for a moment."""
    trust = new_trust(f"127.0.0.1:{way.port}")
    assert trust.wait_until_ready(LONG)
    with closing(socket.socket()) as nobody, ThreadPoolExecutor(1) as pool:
        nobody.bind(("127.0.0.1", 0))  # And listens not.
        way.target = nobody.getsockname()[1]
        before = way.taken
        way.cut()
        asked = pool.submit(ask, trust)
        eventually(lambda: way.taken > before, "a connection that leads to nobody", LONG)
        way.target = auth.port
        assert asked.result() == "Grace"


def test_attempts_that_lead_nowhere_are_few(way: Gateway, new_trust: NewTrust) -> None:
    way.delay = NO_WAY
    trust = new_trust(f"127.0.0.1:{way.port}")
    eventually(lambda: way.taken >= 7, "more attempts than may go on at a time", LONG)
    assert len(trust._connection.ways) == connection.MOST_WAYS


@pytest.mark.parametrize("seconds", [3.0, 9.0, 17.0] if IS_REAL else [1.5])
def test_a_way_that_takes_long_to_set_up_is_waited_for(
    way: Gateway, new_trust: NewTrust, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    way.delay = seconds
    begin = time.monotonic()
    trust = new_trust(f"127.0.0.1:{way.port}")
    eventually(lambda: "there is no answer" in caplog.text, "a warning", LONG)
    assert not trust.is_ready, "it is told before"
    assert trust.wait_until_ready(LONG)
    print(f"a way of {seconds} s is ready after {time.monotonic() - begin:.2f} s")
    assert ask(trust) == "Grace"
    assert way.taken <= 1 + seconds / connection.ANOTHER_AFTER


def test_a_server_that_stands_still_is_left_for_another_one_of_its_name(
    auth: AuthServer, new_trust: NewTrust, heard: Heard
) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(AuthServer())  # type: ignore[abstract]
        other.verify = auth.verify
        first = stack.enter_context(Gateway(auth.port, host="127.0.0.2"))
        stack.enter_context(Gateway(other.port, host="127.0.0.3", port=first.port))
        names = NameServer()
        stack.callback(names.close)
        names.answer = "127.0.0.2,127.0.0.3"
        trust = new_trust(f"dns://{names.address}/auth.test:{first.port}", insecure=True)
        assert trust.wait_until_ready(LONG)
        assert (len(auth.opened), len(other.opened)) == (1, 0)
        first.freeze()
        assert seconds_until_heard(trust, heard, 2, time.monotonic()) < PROMISED
        assert len(other.opened) == 1
        trust.close()


def test_a_channel_that_was_given_is_not_replaced(way: Gateway, new_trust: NewTrust, heard: Heard) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{way.port}") as channel:
        trust = new_trust(channel)
        assert trust.wait_until_ready(LONG)
        way.silence()
        eventually(lambda: len(heard.losses) >= 4, "attempts", LONG)
        trust.close()
    assert way.taken == 1


def test_a_trust_goes_on_after_the_process_could_start_no_thread(
    auth: AuthServer, new_trust: NewTrust, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each channel of grpc needs one. Where it was refused once, no call on that channel ends, nor does closing it."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if threading.current_thread().name == "authclient-trust":
            raise RuntimeError("can't start new thread")
        start(thread)

    trust = new_trust(auth)
    assert trust.wait_until_ready(LONG)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        auth.cut()
        eventually(lambda: any("can't start new thread" in why for why in heard.losses), "a refusal", LONG)
        eventually(lambda: len(heard.losses) >= 3, "another attempt", LONG)
    eventually(lambda: heard.connections >= 2, "a view again", LONG)
    assert ask(trust) == "Grace"
