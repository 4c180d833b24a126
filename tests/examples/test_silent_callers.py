"""Calls that send headers and no request, at services in other languages: they hold memory, and stop nobody."""

from pathlib import Path

from tests.clients.serving.slow_client import SlowClient
from tests.examples.programs import AuthProcess, customer

SILENT = 500


def serves_beside_silent_callers(user: str, orders: str, auth: AuthProcess, client: Path, folder: Path) -> None:
    auth.register(user)
    token = auth.login(user).access_token  # Or a guard that does not wait for the request would refuse at once.
    slow = SlowClient(int(orders.rpartition(":")[2]))
    for _ in range(SILENT):
        slow.open("/orders.v1.OrdersService/PlaceOrder", token)
    slow.await_server()
    done = customer([client, "call"], auth, orders, folder)
    assert done.returncode == 0, done
    assert "refused with SESSION_ENDED" in done.stdout
    assert not slow.ended, "they are still there"
    slow.close()


def test_a_go_service_serves_beside_them(auth: AuthProcess, go_service: str, go_orders: Path, tmp_path: Path) -> None:
    serves_beside_silent_callers("bob", go_service, auth, go_orders, tmp_path)


def test_a_typescript_service_serves_beside_them(
    auth: AuthProcess, typescript_service: str, go_orders: Path, tmp_path: Path
) -> None:
    serves_beside_silent_callers("eve", typescript_service, auth, go_orders, tmp_path)
