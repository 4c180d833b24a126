"""Which cores a worker runs on: one of its own, but on every one for hashes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from authapi.v1 import auth_service_pb2 as api

from tests.faults.processes import ServerProcess, running_server, wait_until
from tests.faults.seeding import Seeder
from tests.observed import PASSWORD

CORES = sorted(os.sched_getaffinity(0))
OURS = os.getpriority(os.PRIO_PROCESS, 0)
"""The niceness that the tests were started with, and so servers and their threads, but for those that hash."""
Cores = frozenset[int]

pytestmark = [
    pytest.mark.skipif(len(CORES) < 2, reason="with one core there is nothing to choose"),
    pytest.mark.parametrize("backend", ["sqlite"]),
]


@pytest.fixture
def server(database_url: str, seeds: Seeder, tmp_path: Path) -> Iterator[ServerProcess]:
    seeds.user("ada")
    with running_server(database_url, tmp_path / "server", workers=len(CORES)) as server:
        yield server


def test_every_thread_of_a_worker_keeps_to_one_core_and_no_two_workers_share_one(server: ServerProcess) -> None:
    assert sorted(map(sorted, map(_only_cores, server.workers()))) == [[core] for core in CORES]


def test_threads_that_hash_may_use_every_core(server: ServerProcess) -> None:
    workers = server.workers()

    def hashing() -> set[Cores]:
        with server.stub() as stub:
            stub.Login(api.LoginRequest(user_name_or_email="ada", password=PASSWORD))
        return {cores for worker in workers for niceness, cores in _threads(worker) if niceness > OURS}

    wait_until(hashing, 10, "a thread that hashes")
    assert hashing() == {frozenset(CORES)}
    assert sorted(map(sorted, map(_only_cores, workers))) == [[core] for core in CORES]


def test_a_worker_that_replaces_another_keeps_to_the_same_core(server: ServerProcess) -> None:
    for victim in server.workers():
        core = _only_cores(victim)
        assert _only_cores(_successor(server, victim)) == core


def test_servers_on_neighbouring_ports_of_one_machine_keep_to_different_cores(
    database_url: str, tmp_path: Path
) -> None:
    with running_server(database_url, tmp_path / "server") as server:
        assert _only_cores(server.workers()[0]) == {CORES[server.port % len(CORES)]}


def test_where_pinning_is_off_no_worker_keeps_to_a_core(database_url: str, tmp_path: Path) -> None:
    with running_server(database_url, tmp_path / "server", workers=len(CORES), pinning="off") as server:
        assert {_only_cores(worker) for worker in server.workers()} == {frozenset(CORES)}


def _successor(server: ServerProcess, victim: int) -> int:
    """Kill a worker; return the one in its place, when its threads are there."""
    before = {*server.workers()}
    server.kill_worker(victim)
    wait_until(lambda: {*server.workers()} - before, 10, "a new worker")
    (new,) = {*server.workers()} - before
    wait_until(lambda: len(_threads(new)) > 16, 10, "a new worker at work")
    return new


def _only_cores(pid: int) -> Cores:
    """Return the cores of all threads that do not hash, which have to be the same."""
    (cores,) = {cores for niceness, cores in _threads(pid) if niceness == OURS}
    return cores


def _threads(pid: int) -> list[tuple[int, Cores]]:
    """Return niceness and cores of each thread of a process."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            found.append(
                (os.getpriority(os.PRIO_PROCESS, int(thread.name)), frozenset(os.sched_getaffinity(int(thread.name))))
            )
        except ProcessLookupError:  # It has just ended.
            continue
    return found
