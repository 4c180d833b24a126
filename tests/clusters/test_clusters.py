"""Servers on different nodes of a cluster: what one has acknowledged holds at all, whichever node dies.

With one node of Galera, as in an ordinary run, this shows that the ring works; `make galera` and `make mysql-group`
have three.
"""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from authservice.config import Settings
from authservice.storage.engine import open_engine
from authservice.storage.hosts import IS_READ_ONLY
from authservice.storage.inspection import inspect
from tests.clusters import galera, group
from tests.clusters.cluster import NODES, Cluster, address
from tests.conftest import MASTER_KEY, migrate
from tests.faults.final_state import require_final_state
from tests.faults.load import History, Load, progress
from tests.faults.processes import ServerProcess, two_running_servers, wait_until
from tests.faults.seeding import Seeder, seeder
from tests.faults.two_servers import accepted_after_logout, require_one_successor
from tests.mariadb import MariaDb
from tests.observed import refusal, register

KILLS = int(os.environ.get("AUTHSERVICE_TEST_NODE_KILLS", "1"))
LOGOUTS = int(os.environ.get("AUTHSERVICE_TEST_LOGOUTS", "20"))
TOKENS = int(os.environ.get("AUTHSERVICE_TEST_SPREAD_TOKENS", "3"))
WRITES = int(os.environ.get("AUTHSERVICE_TEST_WRITES", "40"))
SESSIONS = 4 * WRITES * (1 + KILLS)
PARALLEL = 8
KIND = os.environ.get("AUTHSERVICE_TEST_CLUSTER", "galera")
"""Or `group`, of MySQL with as many primaries as members, or `primary`, of one primary and others that follow."""
GAP_SECONDS = 10.0
"""How long the servers may do without a node that was killed; the others need five to be sure that it is dead."""

pytestmark = pytest.mark.timeout(300 + 300 * KILLS)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if lacking := (galera if KIND == "galera" else group).missing():
        pytest.skip(f"no {lacking} on this machine")
    if KIND == "galera":
        with galera.running_cluster(NODES) as nodes:
            yield nodes
    else:
        with group.running_group(NODES, has_one_primary=KIND == "primary") as members:
            yield members


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> str:
    """Return the name of a migrated database."""
    name = "authservice"
    cluster.nodes[0].execute(f"CREATE DATABASE {name}")
    migrate(address(cluster, name, 0))
    return name


@pytest.fixture(scope="module")
def seeds(cluster: Cluster, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeder]:
    tmp_path = tmp_path_factory.mktemp("seeds")
    settings = Settings(database_url=address(cluster, database, 0), data_dir=tmp_path, master_key=MASTER_KEY)  # type: ignore[call-arg,arg-type]
    with seeder(settings) as seeds:
        yield seeds


@pytest.fixture(scope="module")
def servers(
    cluster: Cluster, database: str, seeds: Seeder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[ServerProcess]]:
    """Yield two servers, each on a node of its own if there are as many, that know all nodes."""
    tmp_path = tmp_path_factory.mktemp("servers")
    urls = [address(cluster, database, first) for first in (0, len(cluster.nodes) // 2)]
    # The nodes and the load take more than this machine has, and whoever keeps to one core then may wait for seconds.
    with two_running_servers(tmp_path, *urls, pinning="off") as servers:
        yield servers


def test_doctor_says_that_other_clients_may_read_what_is_over(cluster: Cluster, database: str) -> None:
    setting = "wsrep_sync_wait" if KIND == "galera" else "group_replication_consistency"
    engine = open_engine(address(cluster, database, 0), pool_size=1)
    try:
        assert setting in str(inspect(engine))
    finally:
        engine.dispose()


def test_d6_after_a_logout_at_one_node_the_server_at_another_refuses_at_once(
    servers: list[ServerProcess], seeds: Seeder
) -> None:
    sessions = seeds.sessions(seeds.user("ada"), LOGOUTS)
    with servers[0].stub() as a, servers[1].stub() as b:
        stale = accepted_after_logout(a, b, sessions)
    print(f"D6 on {NODES} nodes: {LOGOUTS} logouts at one, {stale} still accepted at the other")
    assert stale == 0


def test_r1_v2_racing_at_two_nodes_a_token_has_one_successor_and_a_name_one_owner(
    servers: list[ServerProcess], seeds: Seeder
) -> None:
    sessions = seeds.sessions(seeds.user("bob"), TOKENS)
    with servers[0].stub() as a, servers[1].stub() as b, ThreadPoolExecutor(PARALLEL) as pool:
        for number, tokens in enumerate(sessions):
            require_one_successor(a, b, pool, PARALLEL, tokens, seeds)
            taken = [pool.submit(register, stub, f"grace{number}") for stub in (a, b)]
            losers = [call.exception() for call in taken if call.exception()]
            assert len(losers) == 1
            assert refusal(register, a, f"grace{number}").reason == "USER_NAME_TAKEN"


@pytest.mark.cluster
def test_d1_d8_a_node_that_is_killed_takes_nothing_with_it_and_its_server_goes_on(
    cluster: Cluster, servers: list[ServerProcess], seeds: Seeder
) -> None:
    loads = [
        Load(server, seeds, name, to_end=SESSIONS) for server, name in zip(servers, ("carol", "dave"), strict=True)
    ]
    with loads[0].running() as first, loads[1].running() as second:
        gaps = [_kill(cluster, number, (first, second)) for number in range(KILLS)]
        for history in (first, second):
            progress(history, WRITES)
    for gap, takeover in gaps:
        print(
            f"D1 on {NODES} nodes: writes again {gap:.1f} s after the kill, {gap - takeover:.1f} s after the takeover"
        )
    for server, history in zip(servers, (first, second), strict=True):
        print(f"D1: {history.summary()}")
        assert history.wrong == []
        with server.stub() as stub:
            require_final_state(stub, history, seeds)
    print("D1: 0 lost")
    assert max(gap for gap, _ in gaps) <= GAP_SECONDS


def _kill(cluster: Cluster, number: int, histories: tuple[History, History]) -> tuple[float, float]:
    """Kill a node under load, the primary if there is one.

    Returns after how many seconds both servers wrote again, and a node might be written to.
    """
    for history in histories:
        progress(history, WRITES)
    victim = _primary(cluster) if KIND == "primary" else cluster.nodes[number % len(cluster.nodes)]
    victim.stop(signal.SIGKILL)
    done = [history.done for history in histories]
    others = [node for node in cluster.nodes if node is not victim]
    takeover = wait_until(lambda: any(map(_is_writable, others)), 3 * GAP_SECONDS, "a node that may be written to")
    writing = takeover + wait_until(
        lambda: all(history.done > before + 1 for history, before in zip(histories, done, strict=True)),
        3 * GAP_SECONDS,
        "writes at both servers",
    )
    cluster.rejoin(victim)
    return writing, takeover


def _primary(cluster: Cluster) -> MariaDb:
    return next(node for node in cluster.nodes if _is_writable(node))


def _is_writable(node: MariaDb) -> bool:
    return node.execute(f"SELECT {IS_READ_ONLY}") == ((0,),)
