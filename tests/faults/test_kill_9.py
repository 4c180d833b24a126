"""Killed without warning under load: what was acknowledged is there, what was not is wholly there or wholly not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.final_state import require_final_state
from tests.faults.load import History, Load, progress
from tests.faults.processes import SERVING, ServerProcess, running_server, wait_until
from tests.faults.seeding import Seeder

KILLS = int(os.environ.get("AUTHSERVICE_TEST_KILLS", "2"))
"""Half of them of a worker, half of the whole server."""
SESSIONS = int(os.environ.get("AUTHSERVICE_TEST_SESSIONS", "600")) * max(1, KILLS)
"""How many sessions there are to be ended."""
WRITES_BETWEEN_KILLS = 50
MATURE_SECONDS = 2.1
"""A supervisor counts shorter lives towards giving up."""
STARTS = 5
"""Who was killed serves again within as many times the server's own first start, which a busy machine slows as well."""


@pytest.fixture
def server(backend: str, database_url: str, seeds: Seeder, tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server(database_url, tmp_path / "server", workers=1 if backend == "sqlite" else 2) as server:
        server.kill_all()  # Its first start made the tables, and was none like those to come.
        yield server


def test_k1_r4_kill_9_under_load_loses_nothing_that_was_acknowledged(
    backend: str, server: ServerProcess, seeds: Seeder
) -> None:
    usual = server.start()
    load = Load(server, seeds, "ada", to_end=SESSIONS)
    with load.running() as history:
        pauses = [_kill(server, number, history) for number in range(KILLS)]
        progress(history, WRITES_BETWEEN_KILLS)
    after = ", ".join(f"{pause:.2f}" for pause in pauses)
    print(f"K1 {backend}: SERVING after {usual:.2f} s; {KILLS} kills, SERVING again after {after} s")
    print(f"K1 {backend}: {history.summary()}")
    assert history.wrong == []
    assert history.unknown > 0, "no kill met a call in flight"
    assert max(pauses) <= STARTS * usual
    with server.stub() as stub:
        require_final_state(stub, history, seeds)
    print(f"K1 {backend}: 0 lost")


def _kill(server: ServerProcess, number: int, history: History) -> float:
    """Kill in the middle of the load; return after how many seconds callers were served again."""
    progress(history, WRITES_BETWEEN_KILLS)
    workers = len(server.workers())
    wait_until(lambda: server.mature_worker(MATURE_SECONDS), 30, "a worker that is no new-born")
    victim = server.mature_worker(MATURE_SECONDS)
    assert victim
    if number % 2:
        server.kill_all()
        return server.start()
    server.kill_worker(victim)

    def served_again() -> bool:
        # With two workers, several connections, so that each of them is asked.
        connections = 1 if workers == 1 else 6
        return len(server.workers()) == workers and all(server.health() == SERVING for _ in range(connections))

    return wait_until(served_again, 30, "all workers SERVING")
