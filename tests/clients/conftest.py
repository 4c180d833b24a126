"""A scripted authentication service, and what trusts it."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from authclient import Trust
from authclient._serving import callers

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import Guarded
from tests.clients.noted import Noted
from tests.clients.scripted import AUDIENCE, ISSUER, SECONDS
from tests.clients.stand_ins import Hands, Heard
from tests.clients.trusts import NewTrust


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Fail a test that leaves a thread of the client behind."""
    yield

    def left() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("authclient")]

    eventually(lambda: not left(), f"the end of {left()}", seconds=SOON)


@pytest.fixture(autouse=True)
def nobody_is_remembered() -> Iterator[None]:
    """Fail a test after which somebody is still known as the caller of something."""
    yield
    eventually(lambda: not callers._callers, "nobody is remembered")


@pytest.fixture
def hands() -> Hands:
    return Hands(1000.0)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def auth() -> Iterator[AuthServer]:
    """Yield a running service that keeps its watchers up to date."""
    with AuthServer() as server:  # type: ignore[abstract]  # what it does not play answers UNIMPLEMENTED
        yield server


@pytest.fixture
def scripted() -> Iterator[AuthServer]:
    """Yield a running service that says to its watchers what the test says."""
    with AuthServer(is_scripted=True) as server:  # type: ignore[abstract]  # what it does not play answers UNIMPLEMENTED
        yield server


@pytest.fixture
def new_trust(heard: Heard) -> Iterator[NewTrust]:
    """Return what makes a Trust that is closed after the test."""
    made: list[Trust] = []

    def make(server: AuthServer | str | grpc.Channel, **options: Any) -> Trust:
        address = server.address if isinstance(server, AuthServer) else server
        defaults: dict[str, Any] = {
            "audience": AUDIENCE,
            "issuer": ISSUER,
            "observer": heard,
            "clock": lambda: float(SECONDS),
        }
        made.append(Trust(address, **defaults | options))
        return made[-1]

    yield make
    for trust in made:
        trust.close()


@pytest.fixture
def trust(auth: AuthServer, new_trust: NewTrust) -> Trust:
    """Return a Trust that knows what the service knows."""
    made = new_trust(auth)
    assert made.wait_until_ready(SOON)
    return made


@pytest.fixture
def timed(auth: AuthServer, new_trust: NewTrust, hands: Hands, monkeypatch: pytest.MonkeyPatch) -> Trust:
    """Return a Trust whose clock is in the hands of the test, and which looks at it often."""
    monkeypatch.setattr("authclient._view.watch.TICK_SECONDS", 0.02)
    auth.uptime = hands
    made = new_trust(auth, monotonic=hands)
    assert made.wait_until_ready(SOON)
    return made


@pytest.fixture
def noted() -> Noted:
    return Noted()


@pytest.fixture
def shop(trust: Trust, noted: Noted) -> Iterator[Guarded]:
    """Yield a service with a method of each kind, for anyone with a good token."""
    with Guarded(trust, noted.by_kind) as guarded:
        yield guarded
