"""The log of a server while its database is away."""

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import migrate
from tests.faults.processes import ServerProcess, running_server, wait_until
from tests.mariadb import find_server, running_mariadb

WORKERS = 2


def events(server: ServerProcess) -> Counter[tuple[str, int]]:
    lines = [json.loads(line) for line in server.stderr().splitlines()]
    return Counter((line["event"], line["pid"]) for line in lines if "pid" in line)


@pytest.mark.skipif(find_server() is None, reason="no MariaDB server on this machine")
def test_each_worker_says_once_that_the_database_is_away_and_once_that_it_is_back(tmp_path: Path) -> None:
    with running_mariadb() as database:
        database.execute("CREATE DATABASE outages")
        migrate(database.url("outages"))
        with running_server(database.url("outages"), tmp_path / "server", workers=WORKERS) as server:
            pids = server.workers()
            database.stop(signal.SIGKILL)  # Or MySQL would say first that it is about to end.
            wait_until(lambda: len(events(server)) == WORKERS, 30, "word of each worker")
            for _ in range(20):  # As often as this, chores have tried again meanwhile.
                assert server.health() is not None
            database.start()
            wait_until(lambda: len(events(server)) == 2 * WORKERS, 30, "word of each worker that it is back")
            assert events(server) == Counter(
                [(name, pid) for name in ("database_away", "database_back") for pid in pids]
            )
            causes = [json.loads(line)["cause"] for line in server.stderr().splitlines() if "database_away" in line]
            assert all(cause.startswith("20") and "canary" not in cause for cause in causes), causes
