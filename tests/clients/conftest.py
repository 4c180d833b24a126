"""A scripted authentication service and what trusts it, and a server of made-up tokens and who holds them."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from authclient import Session, Trust
from authclient._calling.aio import attached
from authclient._calling.sync import renewals
from authclient._serving import callers

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import Guarded
from tests.clients.idle import Idle
from tests.clients.noted import Noted
from tests.clients.open_streams import Waiting
from tests.clients.scripted import AUDIENCE, ISSUER, SECONDS
from tests.clients.stand_ins import Hands, Heard
from tests.clients.token_server import TokenServer
from tests.clients.trusts import NewTrust
from tests.observed import PASSWORD


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

    def make(server: AuthServer | str, **options: Any) -> Trust:
        address = server if isinstance(server, str) else server.address
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


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    handlers = Waiting()
    yield handlers
    handlers.released.set()


@pytest.fixture
def waiting_shop(timed: Trust, waiting: Waiting) -> Iterator[Guarded]:
    """Yield a service whose handlers wait."""
    with Guarded(timed, waiting.handlers) as guarded:
        yield guarded
        waiting.released.set()


@pytest.fixture
def idle() -> Iterator[Idle]:
    handlers = Idle()
    yield handlers
    handlers.release.set()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often whether a session's open streams need renewal."""
    monkeypatch.setattr(renewals, "RENEWAL_SECONDS", 0.01)
    monkeypatch.setattr(attached, "RENEWAL_SECONDS", 0.01)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as made:
        yield made


@pytest.fixture
def caller(server: TokenServer, hands: Hands) -> Iterator[Session]:
    """Yield a session that is logged in."""
    with Session(server.address, monotonic=hands) as made:
        made.login("ada", PASSWORD)
        yield made


@pytest.fixture
def shop_channel(server: TokenServer, caller: Session) -> Iterator[grpc.Channel]:
    """Yield a channel to a service, with the session on it."""
    with caller.channel(server.address) as made:
        yield made
