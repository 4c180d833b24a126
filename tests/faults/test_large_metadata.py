"""Clients that acknowledge no SETTINGS, so that no limit of grpc's holds, and send metadata without end.

`AUTHSERVICE_TEST_LARGE_CALLS` says how many calls of 4 MB each are made, with one KB of traffic for each.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.processes import ServerProcess, running_server, wait_until
from tests.faults.seeding import Seeder
from tests.observed import verify
from tests.rpc.rude_client import WINDOW, RudeClient

CALLS = int(os.environ.get("AUTHSERVICE_TEST_LARGE_CALLS", "200"))
TIMES = 1000
"""How often a value of 4 KB stands in one call."""
CONNECTIONS = 3
ROOM_MB = 30.0
"""What may be left of it: a server that has just started grows by some megabytes, whatever it does."""
SECONDS = 60.0
METHODS = (
    "/authapi.v1.AuthService/Verify",
    "/authapi.v1.AuthService/Login",
    "/authapi.v1.TrustService/WatchRevocations",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/nobody.v1.KnowsService/This",
)


@pytest.fixture(params=["auto", "off"])
def server(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server(database_url, tmp_path / "server", entrance=request.param) as server:
        yield server


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_calls_with_metadata_without_end_are_refused_and_leave_nothing(server: ServerProcess, seeds: Seeder) -> None:
    token = seeds.sessions(seeds.user("ada"), 1)[0].access_token
    (worker,) = server.workers()
    with server.stub() as stub:
        verify(stub, token)
        before = most = _megabytes(worker)
        with contextlib.ExitStack() as stack:
            clients = [RudeClient(server.port, WINDOW, acknowledges=False) for _ in range(CONNECTIONS)]
            for client in clients:
                stack.callback(client.close)
            for number in range(CALLS):
                clients[number % CONNECTIONS].call_at_length(METHODS[number % len(METHODS)], TIMES)
                most = max(most, _megabytes(worker))
            verify(stub, token)
            wait_until(lambda: sum(len(client.ended) for client in clients) == CALLS, SECONDS, "an end of each call")
            most = max(most, _megabytes(worker))
            wait_until(lambda: _megabytes(worker) < before + ROOM_MB, SECONDS, "memory as before")
        verify(stub, token)
    after = _megabytes(worker)
    print(
        f"\n{CALLS} calls of {TIMES * 4 / 1000:.0f} MB: {before:.0f} MB before, {most:.0f} at most, {after:.0f} after"
    )
    assert server.workers() == [worker]


def _megabytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
