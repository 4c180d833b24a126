"""Connections to the authentication service that come of age, and services in other languages that watch over them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.programs import AuthProcess, customer
from tests.faults.processes import connections_to, running_server, wait_until

CONNECTIONS = 4
SECONDS = 30


@pytest.fixture(scope="module")
def watched(auth: AuthProcess) -> Iterator[str]:
    """Yield the address of a second server of the same database, whose connections come of age.

    Users register and log in at the first: hashes stand back behind all else that runs on the machine, and may take
    longer than a connection is given here.
    """
    url, ages = f"sqlite:///{auth.data / 'authservice.db'}", {"max_connection_age": 1, "connection_grace": 1}
    with running_server(url, auth.data / "aging", **ages) as server:
        yield f"127.0.0.1:{server.port}"


def sees_a_logout_after_many_connections(
    orders: str, watched: str, auth: AuthProcess, client: Path, folder: Path
) -> None:
    seen: set[str] = set()

    def are_many() -> bool:
        seen.update(connections_to(int(watched.rpartition(":")[2])))
        return len(seen) >= CONNECTIONS

    wait_until(are_many, SECONDS, "the service to have watched on several connections")
    done = customer([client, "call"], auth, orders, folder)
    assert done.returncode == 0, done
    assert "refused with SESSION_ENDED" in done.stdout


def test_a_go_service_goes_on_watching(
    auth: AuthProcess, watched: str, go_service: str, go_orders: Path, tmp_path: Path
) -> None:
    sees_a_logout_after_many_connections(go_service, watched, auth, go_orders, tmp_path)


def test_a_typescript_service_goes_on_watching(
    auth: AuthProcess, watched: str, typescript_service: str, go_orders: Path, tmp_path: Path
) -> None:
    sees_a_logout_after_many_connections(typescript_service, watched, auth, go_orders, tmp_path)
