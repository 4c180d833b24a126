"""Connections to the authentication service that come of age, and services in other languages that watch over them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples.programs import AuthProcess, Program, customer, free_address
from tests.faults.processes import connections_to, wait_until

AGES = {"max_connection_age": 1, "connection_grace": 1}
CONNECTIONS = 4
SECONDS = 30
Start = Callable[..., Program]

pytestmark = pytest.mark.parametrize("auth", [AGES], indirect=True)


def sees_a_logout_after_many_connections(orders: str, auth: AuthProcess, client: Path, folder: Path) -> None:
    seen: set[str] = set()

    def are_many() -> bool:
        seen.update(connections_to(auth.process.port))
        return len(seen) >= CONNECTIONS

    wait_until(are_many, SECONDS, "the service to have watched on several connections")
    done = customer([client, "call"], auth, orders, folder)
    assert done.returncode == 0, done
    assert "refused with SESSION_ENDED" in done.stdout


def test_a_go_service_goes_on_watching(auth: AuthProcess, start: Start, go_orders: Path, tmp_path: Path) -> None:
    orders = free_address()
    start(go_orders, "serve", "-listen", orders, "-auth", auth.address).wait_for("serving on")
    sees_a_logout_after_many_connections(orders, auth, go_orders, tmp_path)


def test_a_typescript_service_goes_on_watching(
    auth: AuthProcess, start: Start, typescript_orders: tuple[str | Path, ...], go_orders: Path, tmp_path: Path
) -> None:
    orders = free_address()
    start(*typescript_orders, "serve", "--listen", orders, "--auth", auth.address).wait_for("listening on")
    sees_a_logout_after_many_connections(orders, auth, go_orders, tmp_path)
