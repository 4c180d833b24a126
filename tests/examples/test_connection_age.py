"""Connections to the authentication service that come of age, and services in other languages that watch over them."""

from pathlib import Path

import pytest

from tests.examples.programs import AuthProcess, OwnServer, customer
from tests.faults.processes import connections_to, wait_until

AGES = OwnServer(max_connection_age=1, connection_grace=1)
CONNECTIONS = 4
SECONDS = 30
TRIES = 5
"""On a busy machine a login can take longer than its connection is given here."""

pytestmark = pytest.mark.parametrize("auth", [AGES], indirect=True)


def sees_a_logout_after_many_connections(orders: str, auth: AuthProcess, client: Path, folder: Path) -> None:
    seen: set[str] = set()

    def are_many() -> bool:
        seen.update(connections_to(auth.process.port))
        return len(seen) >= CONNECTIONS

    wait_until(are_many, SECONDS, "the service to have watched on several connections")
    for _ in range(TRIES):
        done = customer([client, "call"], auth, orders, folder)
        if "max connection age" not in done.stderr:
            break
    assert done.returncode == 0, done
    assert "refused with SESSION_ENDED" in done.stdout


def test_a_go_service_goes_on_watching(auth: AuthProcess, go_service: str, go_orders: Path, tmp_path: Path) -> None:
    sees_a_logout_after_many_connections(go_service, auth, go_orders, tmp_path)


def test_a_typescript_service_goes_on_watching(
    auth: AuthProcess, typescript_service: str, go_orders: Path, tmp_path: Path
) -> None:
    sees_a_logout_after_many_connections(typescript_service, auth, go_orders, tmp_path)
