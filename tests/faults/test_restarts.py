"""The database crashes and comes back under load: callers are told to come back, and nothing else."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from authservice.config import Settings
from authservice.domain.tokens import SessionTokens
from tests.conftest import MASTER_KEY, migrate
from tests.faults.final_state import require_final_state
from tests.faults.load import Load, progress
from tests.faults.processes import NOT_SERVING, ServerProcess, running_server, wait_until
from tests.faults.seeding import Seeder, seeder
from tests.mariadb import MariaDb, find_server, running_mariadb

RESTARTS = int(os.environ.get("AUTHSERVICE_TEST_RESTARTS", "2"))
"""Half of them after a crash, half after a shutdown in good order."""
SESSIONS = 300 * max(1, RESTARTS)
SESSIONS_KEPT = 20
"""So many are ended while the database is away, however fast the others were."""
WRITES_BETWEEN = 30
NOTICED_SECONDS = 6.0
"""Two seconds between two looks at the database, and what the second of them takes."""
SERVING_AGAIN_SECONDS = 10.0
METHODS = {"Register", "Login", "Refresh", "Logout", "Verify"}


@pytest.fixture
def own_mariadb() -> Iterator[MariaDb]:
    """Yield a database server that this test may end."""
    if find_server() is None:
        pytest.skip("no MariaDB server on this machine")
    with running_mariadb() as database:
        database.execute("CREATE DATABASE authservice")
        yield database


@pytest.fixture
def database_url(own_mariadb: MariaDb) -> str:
    url = own_mariadb.url("authservice")
    migrate(url)
    return url


@pytest.fixture
def seeds(database_url: str, tmp_path: Path) -> Iterator[Seeder]:
    settings = Settings(database_url=database_url, data_dir=tmp_path, master_key=MASTER_KEY)  # type: ignore[call-arg,arg-type]
    with seeder(settings) as seeds:
        yield seeds


@pytest.fixture
def server(database_url: str, seeds: Seeder, tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server(database_url, tmp_path / "server", workers=1) as server:
        yield server


def test_d5_k1_a_database_that_goes_and_comes_back_is_unavailable_meanwhile_and_nothing_else(
    own_mariadb: MariaDb, server: ServerProcess, seeds: Seeder
) -> None:
    load = Load(server, seeds, "ada", to_end=SESSIONS)
    with load.running() as history:
        for number in range(RESTARTS):
            progress(history, WRITES_BETWEEN)
            kept = seeds.sessions(load.user, SESSIONS_KEPT)
            _outage(own_mariadb, server, load, kept, signal.SIGTERM if number % 2 else signal.SIGKILL)
        progress(history, WRITES_BETWEEN)
    print(f"D5: {RESTARTS} restarts of the database, {len(history.refusals)} refusals; {history.summary()}")
    assert history.wrong == []
    for method, refusal in history.refusals:
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE"), method
        assert refusal.retry_after
    with server.stub() as stub:
        require_final_state(stub, history, seeds)
    _no_row_is_half_written(own_mariadb)


def _outage(
    database: MariaDb, server: ServerProcess, load: Load, kept: list[SessionTokens], signum: signal.Signals
) -> None:
    history = load.history
    before = len(history.refusals)
    database.stop(signum)
    load.end(kept)

    def all_refused() -> bool:
        return {method for method, _ in history.refusals[before:]} >= METHODS

    wait_until(lambda: history.wrong or all_refused(), 15, "every method UNAVAILABLE")
    wait_until(lambda: server.health() == NOT_SERVING, NOTICED_SECONDS, "NOT_SERVING")
    database.start()
    server.wait_serving(SERVING_AGAIN_SECONDS)


def _no_row_is_half_written(database: MariaDb) -> None:
    orphans = database.execute(
        "SELECT COUNT(*) FROM authservice.sessions LEFT JOIN authservice.users ON users.id = user_id "
        "WHERE users.id IS NULL"
    )
    assert orphans == ((0,),)
