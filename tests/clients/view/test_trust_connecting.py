"""A Trust comes back to its service, however late or often, and tells its observer of it."""

import threading
import time
import types
from typing import Any

import authclient._view.watch
import pytest
from authclient import Trust
from authclient._wire.channels import FIRST_PAUSE, LONGEST_PAUSE

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.scripted import ended, first_answer, forger, key_set
from tests.clients.stand_ins import Heard
from tests.clients.trusts import NewTrust, verdict
from tests.clients.view.addresses import free_port


def test_the_service_may_come_up_later_than_its_client(new_trust: NewTrust, heard: Heard) -> None:
    server = AuthServer()  # type: ignore[abstract]  # what it does not play answers UNIMPLEMENTED
    server.port = free_port()
    trust = new_trust(server)
    eventually(lambda: heard.losses, "an attempt")
    assert not trust.wait_until_ready(0)
    assert heard.connections == 0
    with server:
        assert trust.wait_until_ready(SOON)
        assert verdict(trust) == ""
        eventually(lambda: heard.connections == 1, "the report")


def test_an_observer_hears_of_each_connection_and_each_loss(
    auth: AuthServer, new_trust: NewTrust, heard: Heard
) -> None:
    trust = new_trust(auth)
    assert trust.wait_until_ready(SOON)
    assert (heard.connections, heard.losses) == (1, [])
    auth.cut()
    eventually(lambda: heard.connections == 2, "the second connection")
    assert len(heard.losses) == 1
    assert "UNAVAILABLE" in heard.losses[0]


class Pauses:
    """Events that note how long they were waited on, and by whom, and do not wait that long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def new_event(self) -> Any:
        noted = self.seconds

        class Event(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                if threading.current_thread().name == "authclient-trust" and timeout is not None:
                    noted.append(timeout)
                    timeout = min(timeout, 0.001)
                return super().wait(timeout)

        return Event()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """Return the pauses between attempts, none of which takes its time."""
    noted = Pauses()
    names = {"Thread": threading.Thread, "current_thread": threading.current_thread, "Event": noted.new_event}
    monkeypatch.setattr(authclient._view.watch, "threading", types.SimpleNamespace(**names))
    return noted


def test_the_pauses_double_up_to_two_seconds_and_a_random_half_is_taken_off(
    scripted: AuthServer, new_trust: NewTrust, pauses: Pauses
) -> None:
    new_trust(scripted)
    for _ in range(40):
        scripted.next_watch().end()
    eventually(lambda: len(pauses.seconds) >= 40, "the pauses")
    assert max(pauses.seconds) <= LONGEST_PAUSE
    assert all(pause >= FIRST_PAUSE / 2 for pause in pauses.seconds)
    late = pauses.seconds[8:40]
    assert all(pause >= LONGEST_PAUSE / 2 for pause in late)
    assert max(late) - min(late) > LONGEST_PAUSE / 10, "not all clients come back at one moment"
    assert len(set(late)) > 16


def test_the_first_pause_is_a_tenth_of_a_second(scripted: AuthServer, new_trust: NewTrust, pauses: Pauses) -> None:
    new_trust(scripted)
    scripted.next_watch().end()
    scripted.next_watch().end()
    scripted.next_watch()
    for number, pause in enumerate(pauses.seconds[:2]):
        longest = FIRST_PAUSE * 2**number
        assert longest / 2 <= pause <= longest


def test_a_complete_view_makes_the_next_pause_short_again(
    scripted: AuthServer, new_trust: NewTrust, pauses: Pauses
) -> None:
    new_trust(scripted)
    for _ in range(6):
        scripted.next_watch().end()
    scripted.next_watch().say(first_answer()).end()
    scripted.next_watch()
    assert pauses.seconds[5] > LONGEST_PAUSE / 4
    assert pauses.seconds[6] <= FIRST_PAUSE


class Fragile(Heard):
    """An observer that fails at what it is told to fail at."""

    def __init__(self, *methods: str) -> None:
        super().__init__()
        for name in methods:
            setattr(self, name, self._fail)

    def _fail(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("the metrics are broken")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("method", ["connected", "disconnected", "key_set_refused", "listener"])
def test_a6_an_observer_that_fails_does_not_end_the_watch(auth: AuthServer, new_trust: NewTrust, method: str) -> None:
    fragile = Fragile(method)
    trust = new_trust(auth, observer=fragile)
    if method == "listener":
        trust.listen(fragile._fail)
    eventually(lambda: trust.view_age() < SOON, "a view")
    auth.cut()
    bad = key_set(forger("ES256"))
    bad.keys[0].alg = "none"
    auth.publish(bad)
    until = time.monotonic() + 1.0
    eventually(lambda: time.monotonic() > until, "a tick, and time for another stream")
    auth.revoke(ended())
    assert [thread.name for thread in trust._watch.threads if not thread.is_alive()] == []
    eventually(lambda: verdict(trust) == "SESSION_ENDED", "the rule", seconds=1.0)
    streams = len(auth.opened)
    until += 0.5
    eventually(lambda: time.monotonic() > until, "half a second")
    assert len(auth.opened) == streams, "the stream is not opened again and again"


@pytest.mark.parametrize("scope", [{"audience": ""}, {"audience": "a", "issuer": ""}, {"audience": "", "issuer": ""}])
def test_t8_without_issuer_and_audience_nothing_starts(scope: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="issuer and audience"):
        Trust("127.0.0.1:1", **scope)  # type: ignore[arg-type]
