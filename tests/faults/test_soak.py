"""Hours of everything at once: the memory of a worker finds its height and stays there."""

import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from authapi.v1 import trust_service_pb2 as trust_api
from authapi.v1 import trust_service_pb2_grpc as trust_rpc

from authservice.transport.memory import HEAPS
from tests.faults.processes import ServerProcess, running_server, wait_until
from tests.faults.seeding import Seeder
from tests.observed import login, logout, refresh, refusal, verify

SECONDS = float(os.environ.get("AUTHSERVICE_TEST_SOAK_SECONDS", "1"))
SHARE_ALONE = 1 / 20
"""Of that time, for each kind of client alone. The rest is for all of them at once."""
LOOKS = 20
"""How often the memory is looked at while all are there."""
MOST_MB = 110
"""Of one worker, in millions of bytes."""
HEAP_BYTES = 64 << 20
"""What glibc reserves for the heap of a thread, and begins at a multiple of."""
LEAST_ROUNDS = 3
"""Of each client while all are there, however short the time."""
USER = "ada"
REFRESHES = 20
WATCHED = 3
"""Answers that a watcher takes before it leaves."""
_BUSY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""What a machine that has too much to do may answer."""


class Busy(Exception):
    """The machine has too much to do."""


class Clients:
    """Threads that go round until told to stop, each with connections of its own."""

    def __init__(self, server: ServerProcess, *rounds: Callable[[ServerProcess], None]) -> None:
        self.rounds: Counter[str] = Counter()
        self.busy: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._names = {each.__name__ for each in rounds}
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in rounds]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def have_gone_round(self, least: int) -> bool:
        """Tell whether each kind has made so many rounds, or something was wrong."""
        return bool(self.wrong) or min(self.rounds[name] for name in self._names) >= least

    def _run(self, go_round: Callable[[ServerProcess], None]) -> None:
        name = go_round.__name__
        while not self._stop.is_set():
            try:
                go_round(self._server)
                self.rounds[name] += 1
            except Busy:
                self.busy[name] += 1
            except Exception as error:
                if not _is_busy(error):
                    self.wrong.append(f"{name}: {error!r}")
                    return
                self.busy[name] += 1


def _is_busy(error: Exception) -> bool:
    return isinstance(error, grpc.RpcError) and error.code() in _BUSY


def _reason(call: Callable[..., Any], *args: Any) -> str | None:
    """Return for what reason a call is refused. Raises Busy."""
    refused = refusal(call, *args)
    if refused.code in _BUSY:
        raise Busy
    return refused.reason


def _come_and_go(server: ServerProcess) -> None:
    with server.stub() as stub:
        tokens = login(stub, USER)
        verify(stub, tokens.access_token)
        assert logout(stub, tokens.access_token) == 1
        assert _reason(verify, stub, tokens.access_token) == "SESSION_ENDED"


def _refresh_often(server: ServerProcess) -> None:
    with server.stub() as stub:
        tokens = login(stub, USER)
        for _ in range(REFRESHES):
            tokens = refresh(stub, tokens.refresh_token)
            verify(stub, tokens.access_token)


def _present_what_is_no_token(server: ServerProcess) -> None:
    with server.stub() as stub:
        for token in (secrets.token_urlsafe(400), ".".join(map(secrets.token_urlsafe, (60, 300, 64))), "x" * 4000):
            assert _reason(verify, stub, token) == "TOKEN_INVALID"
        assert _reason(refresh, stub, secrets.token_urlsafe(40)) == "TOKEN_INVALID"


def _watch(server: ServerProcess) -> None:
    with server.plain_channel(patient=True) as channel:
        answers = trust_rpc.TrustServiceStub(channel).WatchRevocations(trust_api.WatchRevocationsRequest())
        try:
            for _ in range(WATCHED):
                next(answers)
        except grpc.RpcError as error:
            # It is let go of where a write takes 5 s, as if it did not read, and is to watch again (docs/errors.md).
            if error.code() is grpc.StatusCode.CANCELLED:
                raise Busy from error
            raise
        answers.cancel()


KINDS = (_present_what_is_no_token, _watch, _come_and_go, _refresh_often)


@pytest.fixture
def server(database_url: str, seeds: Seeder, tmp_path: Path) -> Iterator[ServerProcess]:
    seeds.user(USER)
    with running_server(database_url, tmp_path / "server") as server:
        yield server


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_o7_the_memory_of_a_worker_stays_within_bounds(server: ServerProcess) -> None:
    (worker,) = server.workers()
    used = [_megabytes(worker)]
    print(f"\nmemory of the worker at its start: {used[0]:.0f} MB")
    for rounds in ((each, each) for each in KINDS):
        used += _soak(server, worker, rounds, SECONDS * SHARE_ALONE, looks=1, least=0)
    everybody, seconds = (*KINDS, _come_and_go), SECONDS * (1 - SHARE_ALONE * len(KINDS))
    used += _soak(server, worker, everybody, seconds, looks=LOOKS, least=LEAST_ROUNDS)
    assert max(used) <= MOST_MB
    assert _heaps(worker) <= HEAPS


def _soak(
    server: ServerProcess,
    worker: int,
    rounds: Sequence[Callable[[ServerProcess], None]],
    seconds: float,
    *,
    looks: int,
    least: int,
) -> list[float]:
    """Let clients go round for so long, and each so often. Returns what the worker took, and prints it."""
    used = []
    with Clients(server, *rounds) as clients:
        begin = time.monotonic()
        for look in range(1, looks + 1):
            time.sleep(max(0.0, begin + seconds * look / looks - time.monotonic()))  # How long is what is tried.
            used.append(_megabytes(worker))
        wait_until(lambda: clients.have_gone_round(least), 60, "rounds of everybody")
    said = f"{dict(clients.rounds)}, told that it is busy: {dict(clients.busy)}"
    print(f"in {seconds:.0f} s: {' '.join(f'{each:.0f}' for each in used)} MB; {said}")
    assert clients.wrong == []
    return used


def _heaps(pid: int) -> int:
    """Return how many heaps the C library (glibc) has made for threads beside that of the process."""
    ranges = [line.split()[0].split("-") for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    ends = {int(end, 16) for _, end in ranges}
    return sum(int(start, 16) % HEAP_BYTES == 0 and int(start, 16) + HEAP_BYTES in ends for start, _ in ranges)


def _megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
