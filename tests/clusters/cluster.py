"""A cluster of the tests' own, of any kind: nodes on loopback, each of which can be written to or knows who can."""

import os
from typing import Protocol

from tests.mariadb import MariaDb

NODES = int(os.environ.get("AUTHSERVICE_TEST_NODES", "1"))
JOIN_SECONDS = 180


class Cluster(Protocol):
    """So many nodes."""

    nodes: list[MariaDb]

    def start(self) -> None:
        """Start all nodes, and return when each has everything."""

    def rejoin(self, node: MariaDb) -> None:
        """Start a node that was killed, and return when it has what the others have."""


def address(cluster: Cluster, database: str, first: int) -> str:
    """Return the address of a database, for a server that stands on one node and knows the others."""
    ports = [node.port for node in cluster.nodes[first:] + cluster.nodes[:first]]
    places = ",".join(f"127.0.0.1:{port}" for port in ports)
    return cluster.nodes[first].url(database).replace(f"127.0.0.1:{ports[0]}", places)
