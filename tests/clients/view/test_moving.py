"""A server that comes back at another address behind its name is found soon."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.names import NameServer
from tests.clients.trusts import NewTrust

LOOKUP_SECONDS = 30.0
"""Between two lookups of a name, where grpc is not told otherwise."""


@pytest.fixture
def names() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.close()


@pytest.mark.parametrize("goes_first", ["the name", "the server"])
def test_a_server_that_moves_is_found_soon(goes_first: str, names: NameServer, new_trust: NewTrust) -> None:
    with ExitStack() as running:
        first, second = AuthServer(host="127.0.0.2"), AuthServer(host="127.0.0.3")  # type: ignore[abstract]
        running.enter_context(first)
        second.port = first.port
        running.enter_context(second)
        names.answer = "127.0.0.2"
        trust = new_trust(f"dns://{names.address}/auth.test:{first.port}", insecure=True)
        assert trust.wait_until_ready(SOON)
        before = names.asked
        if goes_first == "the name":
            names.answer = "127.0.0.3"
        gone = time.monotonic()
        first.stop()
        if goes_first == "the server":
            eventually(lambda: names.asked > before, "the name is asked for again", seconds=2 * LOOKUP_SECONDS)
            names.answer = "127.0.0.3"
        second.watches.get(timeout=2 * LOOKUP_SECONDS)
        took = time.monotonic() - gone
        assert took < LOOKUP_SECONDS / 2
        trust.close()


def test_a_name_that_comes_up_later_is_found_soon(names: NameServer, new_trust: NewTrust) -> None:
    with AuthServer(host="127.0.0.2") as server:  # type: ignore[abstract]
        trust = new_trust(f"dns://{names.address}/auth.test:{server.port}", insecure=True)
        assert not trust.wait_until_ready(3.0)
        names.answer = "127.0.0.2"
        assert trust.wait_until_ready(SOON)
        trust.close()
