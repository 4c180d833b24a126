"""Callers who send headers and no request, dribble, or read no answer: the others hardly notice, and nothing stays.

`AUTHSERVICE_TEST_SLOW_CALLERS` says how many send nothing, on few connections or on one each; a tenth of them each
dribble and read nothing. A server that
takes calls as grpcio does is stopped by sixteen.
"""

import contextlib
import functools
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api

from tests.contract import SERVED, path_of
from tests.faults.processes import ServerProcess, connections_to, running_server, wait_until
from tests.faults.seeding import Seeder
from tests.observed import Refusal, login, verify
from tests.rpc.rude_client import WINDOW, RudeClient, rude_client

SILENT = int(os.environ.get("AUTHSERVICE_TEST_SLOW_CALLERS", "400"))
CONNECTIONS = 20
VERIFY = "/authapi.v1.AuthService/Verify"
METHODS = [path_of(method) for method in SERVED]
LEAST_ROUNDS = 5
MOST_ROUNDS = 20
CALLS = 400
FLOOR = 0.002
"""Seconds. Who waits for less has waited for nobody."""
PATIENCE_SECONDS = 5.0
SOFT_LIMIT, HARD_LIMIT = 256, 400
MOST_CONNECTIONS = 8
FEW_THREADS = 8
"""What may come and stay: grpc has a few more where more connections are, and pools make theirs when first needed."""
ROOM_KB = 40_000
"""What memory may stay that grpc has taken once and keeps for the next time."""


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server(database_url, tmp_path / "server", workers=1) as server:
        yield server


@pytest.fixture
def server_of_few_descriptors(database_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    """Yield a server that begins as on most systems: with a soft limit below what it needs."""
    wrapper = ("sh", "-c", f'ulimit -Sn {SOFT_LIMIT}; exec "$@"', "sh")
    server = ServerProcess(database_url, tmp_path / "server", wrapper)
    try:
        server.start()
        yield server
    finally:
        server.kill_all()


@contextlib.contextmanager
def slow_callers(port: int) -> Iterator[list[RudeClient]]:
    """Yield connections with slow calls of every kind, of which new ones follow those that the server ends."""
    over = threading.Event()
    clients: list[RudeClient] = []

    def again(number: int, _ended: int) -> None:
        if not over.is_set():
            clients[number].begin(METHODS[number % len(METHODS)])

    try:
        clients += [RudeClient(port, WINDOW, functools.partial(again, number)) for number in range(CONNECTIONS)]
        for number in range(SILENT):
            clients[number % CONNECTIONS].begin(METHODS[number % len(METHODS)])
        unread = RudeClient(port, window=0)
        clients.append(unread)
        for _ in range(SILENT // 10):
            unread.call(VERIFY, api.VerifyRequest(access_token="x").SerializeToString())
        dribblers = RudeClient(port, WINDOW)
        clients.append(dribblers)
        begun = [dribblers.begin(VERIFY, b"\0\0\0\0\x7f") for _ in range(SILENT // 10)]
        threading.Thread(target=_dribble, args=(dribblers, begun, over), daemon=True).start()
        yield clients
    finally:
        over.set()
        for client in clients:
            client.close()


def _dribble(client: RudeClient, calls: list[int], over: threading.Event) -> None:
    while not over.wait(1.0):
        for number in calls:
            if number not in client.ended:
                client.send(number, b"x")


def latencies(server: ServerProcess, token: str) -> list[float]:
    """Return how many seconds each of many calls took, one after another."""
    taken = []
    with server.stub() as stub:
        verify(stub, token)
        for _ in range(CALLS):
            begin = time.perf_counter()
            verify(stub, token)
            taken.append(time.perf_counter() - begin)
    return taken


def p99(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=100)[-1]


def require_little_delay(slow: str, alone: Callable[[], list[float]], beside: Callable[[], list[float]]) -> None:
    """Measure by turns how long calls take alone and beside slow callers. Fail if those did much in every round.

    Whatever else runs on this machine only ever adds, but not in each round; slow callers are there in each. By turns,
    because what else runs in the second minute may be much more than in the first.
    """
    rounds: list[tuple[float, float]] = []

    def delay() -> float:
        return min(taken for _, taken in rounds) / max(FLOOR, statistics.median(taken for taken, _ in rounds))

    while len(rounds) < LEAST_ROUNDS or (delay() > 2 and len(rounds) < MOST_ROUNDS):
        rounds.append((p99(alone()), p99(beside())))
    without, with_them = (statistics.median(taken) * 1000 for taken in zip(*rounds, strict=True))
    print(f"O1: {slow}: p99 {with_them:.2f} ms, {without:.2f} ms without")
    assert delay() <= 2, rounds


def status(pid: int, name: str) -> int:
    """Return a number of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@pytest.mark.entrance
def test_o1_thousands_of_slow_callers_hold_no_thread_slow_nobody_down_and_leave_nothing(
    server: ServerProcess, seeds: Seeder
) -> None:
    token = seeds.sessions(seeds.user("ada"), 1)[0].access_token
    (worker,) = server.workers()
    latencies(server, token)
    threads, memory = status(worker, "Threads"), status(worker, "VmRSS")

    def beside() -> list[float]:
        with slow_callers(server.port):
            taken = latencies(server, token)
            assert status(worker, "Threads") <= threads + FEW_THREADS, "they hold threads"
        return taken

    slow = f"{SILENT} silent, {SILENT // 10} dribbling, {SILENT // 10} unread on {CONNECTIONS + 2} connections"
    require_little_delay(slow, lambda: latencies(server, token), beside)
    wait_until(lambda: status(worker, "Threads") <= threads + FEW_THREADS, 2 * PATIENCE_SECONDS, "threads as before")
    wait_until(lambda: status(worker, "VmRSS") <= memory + ROOM_KB, 2 * PATIENCE_SECONDS, "memory as before")
    assert server.workers() == [worker]


@pytest.mark.entrance
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_o1_a_peer_with_a_connection_for_each_of_its_silent_calls_keeps_nobody_out(
    server_of_few_descriptors: ServerProcess, seeds: Seeder
) -> None:
    server = server_of_few_descriptors
    token = seeds.sessions(seeds.user("ada"), 1)[0].access_token
    (worker,) = server.workers()
    latencies(server, token)
    threads = status(worker, "Threads")

    def beside() -> list[float]:
        with contextlib.ExitStack() as clients:
            for number in range(SILENT):
                client = clients.enter_context(rude_client(server.port, WINDOW, host="127.0.0.2"))
                client.begin(METHODS[number % len(METHODS)])
            wait_until(lambda: len(connections_to(server.port)) >= SILENT, 10, "all to be connected")
            taken = latencies(server, token)  # On a new connection.
            assert status(worker, "Threads") <= threads + FEW_THREADS
        return taken

    require_little_delay(f"{SILENT} silent on as many connections", lambda: latencies(server, token), beside)
    assert "File descriptor limit" not in server.stderr()


@pytest.mark.parametrize("backend", ["mariadb"], indirect=True)
def test_those_who_only_connect_leave_descriptors_for_the_database_however_few_there_are(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    token = seeds.sessions(seeds.user("ada"), 1)[0].access_token
    wrapper = ("sh", "-c", f'ulimit -n {HARD_LIMIT}; exec "$@"', "sh")
    server = ServerProcess(database_url, tmp_path / "server", wrapper)
    try:
        server.start()
        with server.stub() as stub, contextlib.ExitStack() as clients:
            verify(stub, token)
            for _ in range(HARD_LIMIT):
                with contextlib.suppress(ConnectionError):  # Beyond the limit they are turned away.
                    clients.enter_context(rude_client(server.port, WINDOW))
            with ThreadPoolExecutor(FEW_THREADS) as callers:  # Each takes a connection to the database.
                list(callers.map(lambda _: login(stub, "ada"), range(FEW_THREADS)))
            verify(stub, token)
        assert '"connections"' in server.stderr()
    finally:
        server.kill_all()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_x3_a_connection_without_a_call_is_closed_after_its_time_and_one_with_a_call_is_not(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    token = seeds.sessions(seeds.user("ada"), 1)[0].access_token
    idle = {"max_connection_idle": 0.5}
    with running_server(database_url, tmp_path / "server", **idle) as server, contextlib.ExitStack() as clients:
        busy = clients.enter_context(rude_client(server.port, WINDOW))
        watching = busy.begin("/grpc.health.v1.Health/Watch", b"\0\0\0\0\0")
        for _ in range(CONNECTIONS):
            clients.enter_context(rude_client(server.port, WINDOW))
        stub = clients.enter_context(server.stub())
        verify(stub, token)
        wait_until(lambda: len(connections_to(server.port)) == 1, 20, "the idle ones to be gone")
        assert watching not in busy.ended
        # On a connection of its own: the one before may be closed for being idle at this very moment.
        verify(clients.enter_context(server.stub()), token)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_where_all_connections_are_taken_newcomers_are_turned_away_and_the_others_served(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    token = seeds.sessions(seeds.user("ada"), 1)[0].access_token
    limits = {"max_connections": MOST_CONNECTIONS}
    with running_server(database_url, tmp_path / "server", **limits) as server, server.stub() as stub:
        verify(stub, token)
        with contextlib.ExitStack() as clients:
            for _ in range(MOST_CONNECTIONS):
                clients.enter_context(rude_client(server.port, WINDOW))
            with server.stub(patient=False) as newcomer, pytest.raises(grpc.RpcError) as refused:
                verify(newcomer, token)
            assert Refusal(refused.value).code is grpc.StatusCode.UNAVAILABLE
            verify(stub, token)
        wait_until(lambda: server.health() is not None, 10, "a newcomer to be let in")
