"""Hours of everything at once: the memory of a worker finds its height and stays there."""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from authapi.v1 import trust_service_pb2 as trust_api
from authapi.v1 import trust_service_pb2_grpc as trust_rpc

from tests.faults.processes import ServerProcess, running_server, wait_until
from tests.faults.seeding import Seeder
from tests.observed import login, logout, refresh, refusal, verify

SECONDS = float(os.environ.get("AUTHSERVICE_TEST_SOAK_SECONDS", "1"))
LOOKS = 20
"""How often the memory is looked at."""
MOST_MB = 110
"""Of one worker, in millions of bytes."""
LEAST_ROUNDS = 3
"""Of each client, however short the time."""
USER = "ada"
REFRESHES = 20
WATCHED = 3
"""Answers that a watcher takes before it leaves."""
_BUSY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""What a machine that has too much to do may answer."""


class Clients:
    """Threads that go round until told to stop, each with a connection of its own."""

    def __init__(self, server: ServerProcess) -> None:
        self.rounds: dict[str, int] = {}
        self.wrong: list[str] = []
        self._server = server
        self._stop = threading.Event()
        rounds = (_come_and_go, _come_and_go, _refresh_often, _present_what_is_no_token, _watch)
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in rounds]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, go_round: Callable[[ServerProcess], None]) -> None:
        name = go_round.__name__
        while not self._stop.is_set():
            try:
                go_round(self._server)
            except grpc.RpcError as error:
                if error.code() in _BUSY:
                    continue
                self.wrong.append(f"{name}: {error!r}")
                return
            except Exception as error:
                self.wrong.append(f"{name}: {error!r}")
                return
            self.rounds[name] = self.rounds.get(name, 0) + 1


def _come_and_go(server: ServerProcess) -> None:
    with server.stub() as stub:
        tokens = login(stub, USER)
        verify(stub, tokens.access_token)
        assert logout(stub, tokens.access_token) == 1
        assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED"


def _refresh_often(server: ServerProcess) -> None:
    with server.stub() as stub:
        tokens = login(stub, USER)
        for _ in range(REFRESHES):
            tokens = refresh(stub, tokens.refresh_token)
            verify(stub, tokens.access_token)


def _present_what_is_no_token(server: ServerProcess) -> None:
    with server.stub() as stub:
        for token in (secrets.token_urlsafe(400), ".".join(map(secrets.token_urlsafe, (60, 300, 64))), "x" * 4000):
            assert refusal(verify, stub, token).reason == "TOKEN_INVALID"
        assert refusal(refresh, stub, secrets.token_urlsafe(40)).reason == "TOKEN_INVALID"


def _watch(server: ServerProcess) -> None:
    with server.plain_channel() as channel:
        answers = trust_rpc.TrustServiceStub(channel).WatchRevocations(trust_api.WatchRevocationsRequest())
        for _ in range(WATCHED):
            next(answers)
        answers.cancel()


@pytest.fixture
def server(database_url: str, seeds: Seeder, tmp_path: Path) -> Iterator[ServerProcess]:
    seeds.user(USER)
    with running_server(database_url, tmp_path / "server") as server:
        yield server


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_o7_the_memory_of_a_worker_stays_within_bounds(server: ServerProcess) -> None:
    (worker,) = server.workers()
    used = [_megabytes(worker)]
    with Clients(server) as clients:
        begin = time.monotonic()
        for look in range(1, LOOKS + 1):
            time.sleep(max(0.0, begin + SECONDS * look / LOOKS - time.monotonic()))  # How long is what is tried.
            used.append(_megabytes(worker))
        wait_until(lambda: clients.wrong or _everybody(clients) >= LEAST_ROUNDS, 60, "rounds of everybody")
    print(f"\nmemory of the worker in {SECONDS:.0f} s: {' '.join(f'{each:.0f}' for each in used)} MB; {clients.rounds}")
    assert clients.wrong == []
    assert max(used) <= MOST_MB


def _everybody(clients: Clients) -> int:
    return min(clients.rounds.values()) if len(clients.rounds) == 4 else 0


def _megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
