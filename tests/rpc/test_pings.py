"""How often clients may ping: as often as keepalive does, with or without calls under way, and no flood."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from authclient import SERVER_OPTIONS

from authservice.transport import server as transport
from tests.rpc.rude_client import ANSWER_SECONDS, RudeClient, rude_client

FASTER = 50
"""The interval of the service, and of its clients, is so much shorter here."""
USUAL_SECONDS = 10 / FASTER
"""The shortest keepalive that is usual."""
PINGS = 8
"""Core takes leave after two that come too early."""


@pytest.fixture
def port() -> Iterator[int]:
    """Yield the port of a server with the options of the service."""
    interval = "grpc.http2.min_ping_interval_without_data_ms"
    options = [(name, value // FASTER if name == interval else value) for name, value in transport._OPTIONS.items()]
    with ThreadPoolExecutor(1) as pool:
        made = grpc.server(pool, options=options)
        at = made.add_insecure_port("127.0.0.1:0")
        made.start()
        yield at
        made.stop(0).wait()


def await_farewell(client: RudeClient) -> str | None:
    """Wait until the server has taken leave. It may have hung up before it answers another ping."""
    until = time.monotonic() + ANSWER_SECONDS
    while client.farewell is None and time.monotonic() < until:
        time.sleep(0.002)  # The pace of asking, not a guess at how long it takes.
    return client.farewell


def test_keepalive_without_a_call_goes_on(port: int) -> None:
    with rude_client(port) as client:
        for _ in range(PINGS):
            time.sleep(USUAL_SECONDS)  # What keepalive does.
            client.await_server()
        assert client.farewell is None


def test_x5_a_flood_of_pings_does_not(port: int) -> None:
    with rude_client(port) as client:
        client.ping(PINGS)
        assert await_farewell(client) == "too_many_pings"


def test_a_ping_may_come_twice_as_early_as_usual() -> None:
    assert dict(SERVER_OPTIONS)["grpc.http2.min_ping_interval_without_data_ms"] <= 10_000 / 2
