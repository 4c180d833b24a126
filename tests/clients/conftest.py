"""A scripted authentication service and what trusts it."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from authclient import Trust

from tests.clients.scripted import AUDIENCE, ISSUER, SECONDS, SOON, AuthServer, Heard, eventually


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Fail a test that leaves a thread of the client behind."""
    yield

    def left() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("authclient")]

    eventually(lambda: not left(), f"the end of {left()}", seconds=SOON)


@pytest.fixture(autouse=True)
def complaints(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what grpc's own threads complained of when a channel was closed under them.

    DEFECT, see test_trust.py: they do if a Trust is closed soon after it came back. Everything else fails the test.
    """
    heard: list[str] = []
    otherwise = threading.excepthook

    def hook(args: Any) -> None:
        if isinstance(args.exc_value, ValueError) and "Channel closed!" in str(args.exc_value):
            heard.append(str(args.exc_value))
        else:
            otherwise(args)

    monkeypatch.setattr(threading, "excepthook", hook)
    return heard


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
def heard() -> Heard:
    return Heard()


@pytest.fixture
def new_trust(heard: Heard) -> Iterator[Callable[..., Trust]]:
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
def trust(auth: AuthServer, new_trust: Callable[..., Trust]) -> Trust:
    """Return a Trust that knows what the service knows."""
    made = new_trust(auth)
    assert made.wait_until_ready(SOON)
    return made
