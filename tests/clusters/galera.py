"""A Galera cluster of the tests' own: nodes on loopback, whose data goes with them."""

import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pymysql

from tests.clusters.cluster import JOIN_SECONDS
from tests.faults.processes import wait_until
from tests.mariadb import MariaDb, find_server, free_port
from tests.memory import folder_in_memory

PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")


class Galera:
    """So many nodes. The first begins, the others join it one after the other."""

    def __init__(self, folder: Path, size: int) -> None:
        # As root rsync gives up its rights and cannot hand over the data.
        user = pwd.getpwnam("mysql").pw_name if os.geteuid() == 0 else None
        ports = [free_port() for _ in range(size)]
        address = "gcomm://" + ",".join(f"127.0.0.1:{port}" for port in ports)
        if user:
            shutil.chown(folder, user)
        self.nodes = []
        for number, port in enumerate(ports):
            place = folder / f"node{number}"
            place.mkdir()
            if user:
                shutil.chown(place, user)
            self.nodes.append(MariaDb(place, _options(port, address), user))
        self.user = user

    def start(self) -> None:
        """Start all nodes, and return when each has everything."""
        first, *others = self.nodes
        first.make_data()
        first.start("--wsrep-new-cluster")
        self.wait_synced(first)
        first.execute("CREATE USER authservice@'127.0.0.1' IDENTIFIED BY 'db-password-canary'")
        first.execute("GRANT ALL ON *.* TO authservice@'127.0.0.1'")
        for node in others:
            node.make_data()
            node.start()
            self.wait_synced(node)
        self.wait_size(len(self.nodes))

    def rejoin(self, node: MariaDb) -> None:
        """Start a node that was killed, and return when it has what the others have."""
        # The port where it was given its data at first may have been taken since.
        node.start(f"--wsrep-sst-receive-address=127.0.0.1:{free_port()}")
        self.wait_synced(node)

    def wait_synced(self, node: MariaDb) -> None:
        """Wait until a node has what the others have."""
        wait_until(lambda: self.status(node, "wsrep_local_state_comment") == "Synced", JOIN_SECONDS, "Synced")

    def wait_size(self, size: int) -> None:
        """Wait until the first node sees so many."""
        wait_until(lambda: self.status(self.nodes[0], "wsrep_cluster_size") == str(size), JOIN_SECONDS, "all nodes")

    @staticmethod
    def status(node: MariaDb, name: str) -> str:
        """Return one of the status variables of a node, nothing if it is not yet part of the cluster."""
        try:
            return str(node.execute(f"SHOW STATUS LIKE '{name}'")[0][1])
        except pymysql.err.OperationalError:
            return ""


def _options(port: int, address: str) -> list[str]:
    incoming = free_port(), free_port()
    provider = f"base_port={port};gmcast.listen_addr=tcp://127.0.0.1:{port};ist.recv_addr=127.0.0.1:{incoming[0]}"
    return [
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
        "--wsrep-on=ON",
        f"--wsrep-provider={PROVIDER}",
        f"--wsrep-provider-options={provider}",
        f"--wsrep-cluster-address={address}",
        f"--wsrep-node-address=127.0.0.1:{port}",
        f"--wsrep-sst-receive-address=127.0.0.1:{incoming[1]}",
        "--wsrep-sst-method=rsync",
    ]


def missing() -> str | None:
    """Return what a cluster needs and this machine lacks."""
    if find_server() is None or os.environ.get("AUTHSERVICE_TEST_MYSQLD"):
        return "a MariaDB server"
    if not PROVIDER.exists():
        return "galera-4"
    return None if shutil.which("rsync") else "rsync"


@contextmanager
def running_cluster(size: int) -> Iterator[Galera]:
    """Yield a cluster and leave nothing of it behind."""
    # Not in pytest's folder, which only its owner may enter.
    with ExitStack() as stack:
        folder = stack.enter_context(folder_in_memory())
        cluster = Galera(folder, size)
        for node in cluster.nodes:
            stack.callback(node.stop)
        cluster.start()
        yield cluster
