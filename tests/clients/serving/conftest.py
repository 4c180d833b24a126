"""Handlers that wait, and services that have them."""

from collections.abc import Iterator

import pytest
from authclient import Trust

from tests.clients.eventually import SOON
from tests.clients.guarded import Guarded
from tests.clients.serving.idle import Idle
from tests.clients.serving.open_streams import Waiting


@pytest.fixture(params=[None, SOON], ids=["impatient", "patient"])
def patience(request: pytest.FixtureRequest) -> float | None:
    """How long a guard waits for requests; None where it leaves that to grpc."""
    seconds: float | None = request.param
    return seconds


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
