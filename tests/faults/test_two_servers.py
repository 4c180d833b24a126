"""Several servers on one database: what one has acknowledged, all the others know."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc
from sqlalchemy import make_url

from authservice.config import Settings
from tests.conftest import MASTER_KEY
from tests.faults.processes import ServerProcess, running_server, two_running_servers
from tests.faults.seeding import Seeder, seeder
from tests.faults.two_servers import accepted_after_logout, is_refused, require_one_successor
from tests.mariadb import Copies
from tests.memory import folder_in_memory
from tests.observed import login, logout, refresh, register, verify

LOGOUTS = int(os.environ.get("AUTHSERVICE_TEST_LOGOUTS", "300"))
TOKENS = int(os.environ.get("AUTHSERVICE_TEST_SPREAD_TOKENS", "10"))
PARALLEL = 16
CONNECTIONS = 12

Stub = rpc.AuthServiceStub


@pytest.fixture(scope="module")
def shared(new_mariadb_url: Callable[[], str], migrated_mariadb: Copies) -> str:
    """Return the address of a database for all of these tests, each of which has users of its own."""
    url = new_mariadb_url()
    migrated_mariadb.copy_to(make_url(url))
    return url


@pytest.fixture(scope="module")
def seeds(shared: str) -> Iterator[Seeder]:
    """Yield what makes users and sessions without the servers, and the keys before them."""
    settings = Settings(database_url=shared, master_key=MASTER_KEY)  # type: ignore[call-arg,arg-type]
    with seeder(settings) as seeds:
        yield seeds


@pytest.fixture(scope="module")
def two_servers(shared: str, seeds: Seeder) -> Iterator[list[ServerProcess]]:
    """Yield two servers that know nothing of each other."""
    with folder_in_memory() as folder, two_running_servers(folder, shared) as servers:
        yield servers


def test_d6_s1_after_a_logout_at_one_server_the_other_refuses_at_once(
    two_servers: list[ServerProcess], seeds: Seeder
) -> None:
    with two_servers[0].stub() as a, two_servers[1].stub() as b:
        sessions = seeds.sessions(seeds.user("ada"), LOGOUTS)
        stale = accepted_after_logout(a, b, sessions)
    print(f"D6: {len(sessions)} logouts at one of two servers, {stale} still accepted by the other")
    assert stale == 0


def test_r1_refreshes_of_one_token_at_both_servers_yield_one_successor(
    two_servers: list[ServerProcess], seeds: Seeder
) -> None:
    sessions = seeds.sessions(seeds.user("bob"), TOKENS)
    with two_servers[0].stub() as a, two_servers[1].stub() as b, ThreadPoolExecutor(PARALLEL) as pool:
        for tokens in sessions:
            require_one_successor(a, b, pool, PARALLEL, tokens, seeds)


def test_r1_a_token_spent_at_one_server_gets_the_current_one_at_the_other_however_many_followed(
    two_servers: list[ServerProcess], seeds: Seeder
) -> None:
    sessions = seeds.sessions(seeds.user("carol"), TOKENS)
    with two_servers[0].stub() as a, two_servers[1].stub() as b:
        for tokens in sessions:
            line = [tokens.refresh_token]
            for number in range(6):
                line.append(refresh((a, b)[number % 2], line[-1]).refresh_token)
            for number, spent in enumerate(line[:-1]):
                assert refresh((a, b)[number % 2], spent).refresh_token == line[-1]
            assert seeds.generation(tokens.session_id) == 6


def test_a_user_registered_at_one_server_is_served_by_the_other(two_servers: list[ServerProcess]) -> None:
    with two_servers[0].stub() as a, two_servers[1].stub() as b:
        user = register(a, "grace")
        tokens = login(b, "grace")
        assert verify(a, tokens.access_token).user_id == user.user_id
        assert verify(a, refresh(b, tokens.refresh_token).access_token).session_id == tokens.session_id


def test_s1_a_logout_at_one_worker_is_known_to_every_connection(shared: str, seeds: Seeder, tmp_path: Path) -> None:
    sessions = seeds.sessions(seeds.user("dora"), LOGOUTS // 3)
    with running_server(shared, tmp_path / "server", workers=2) as server, ExitStack() as stack:
        # The kernel chooses a worker for each connection; of twelve, all go to one in 1 of 2,048 runs.
        stubs = [stack.enter_context(server.stub()) for _ in range(CONNECTIONS)]
        stale = 0
        for number, tokens in enumerate(sessions):
            assert logout(stubs[number % CONNECTIONS], tokens.access_token) == 1
            for offset in (1, 2, 3):
                stale += not is_refused(stubs[(number + offset) % CONNECTIONS], tokens.access_token)
    print(f"S1: {len(sessions)} logouts over {CONNECTIONS} connections to 2 workers, {stale} still accepted")
    assert stale == 0
