"""A server of made-up tokens, and who holds them."""

from collections.abc import Iterator

import grpc
import pytest
from authclient import Session
from authclient._calling import renewal

from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer
from tests.observed import PASSWORD


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often whether a session's open streams need renewal."""
    monkeypatch.setattr(renewal, "RENEWAL_SECONDS", 0.01)


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
