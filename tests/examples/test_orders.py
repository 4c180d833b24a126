"""The orders example as a new user runs it, with a real authentication server."""

import difflib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from authclient import reason_of

from tests.examples.programs import (
    CALL_SECONDS,
    PYTHON_CUSTOMER,
    PYTHON_SERVICE,
    AuthProcess,
    OwnServer,
    Program,
    customer,
    free_address,
    run,
)
from tests.examples.shops import EXAMPLE, orders_pb2, orders_pb2_grpc
from tests.faults.processes import wait_until
from tests.observed import PASSWORD, logout

SOON = 10.0
UNPROTECTED = EXAMPLE / "serve_unprotected.py"
STOP_SECONDS = 5.0

Start = Callable[..., Program]


class Customer:
    """Calls the service. Tells how each call ends."""

    def __init__(self, channel: grpc.Channel, token: str | None = None) -> None:
        self._stub = orders_pb2_grpc.OrdersServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def place(self) -> orders_pb2.Order:
        """Order something."""
        placed: orders_pb2.PlaceOrderResponse = self._call(
            self._stub.PlaceOrder, orders_pb2.PlaceOrderRequest(article="rope")
        )
        return placed.order

    def cancel(self, order: orders_pb2.Order) -> None:
        """Cancel an order."""
        self._call(self._stub.CancelOrder, orders_pb2.CancelOrderRequest(id=order.id))

    def catalog(self) -> list[str]:
        """Look at what there is."""
        return list(self._call(self._stub.GetCatalog, orders_pb2.GetCatalogRequest()).articles)

    def watch(self) -> "Iterator[orders_pb2.WatchOrdersResponse]":
        """Follow one's orders."""
        return self._stub.WatchOrders(orders_pb2.WatchOrdersRequest(), metadata=self._metadata, timeout=SOON)

    def _call(self, method: Callable[..., Any], request: object) -> Any:
        return method(request, metadata=self._metadata, timeout=SOON, wait_for_ready=True)


def refused(call: Callable[..., object], *arguments: object) -> tuple[str, str | None]:
    """Return status and reason of a call that is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    return caught.value.code().name, reason_of(caught.value.trailing_metadata())


def answered(call: Callable[..., object], *arguments: object) -> bool:
    """Tell whether a call is answered rather than unavailable."""
    try:
        call(*arguments)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return False
        raise
    return True


@pytest.fixture
def address(auth: AuthProcess, start: Start) -> str:
    """Return the address of the running example."""
    address = free_address()
    start(sys.executable, PYTHON_SERVICE, "--listen", address, "--auth", auth.address).wait_for("orders serves on")
    return address


@pytest.fixture
def channel(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as channel:
        yield channel


def test_the_readme_tour_ends_with_the_refusal_of_the_logged_out_customer(
    auth: AuthProcess, address: str, tmp_path: Path
) -> None:
    done = customer([sys.executable, PYTHON_CUSTOMER], auth, address, tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    lines = done.stdout.splitlines()
    assert lines[0] == "The shop sells compass, lantern, rope"
    assert lines[1] == "Order 1 of one compass is placed"
    assert lines[2] == "The first of your orders is number 1"
    assert lines[3].startswith("Refused ")
    assert lines[3].endswith("UNAUTHENTICATED SESSION_ENDED")


@pytest.mark.parametrize("auth", [OwnServer()], ids=["own"], indirect=True)
def test_every_method_asks_for_what_its_rule_says(auth: AuthProcess, channel: grpc.Channel) -> None:
    auth.register("stranger")
    assert auth.operate("users", "grant", "ada", "support") == "User ada now has the role support.\n"
    nobody = Customer(channel)
    support, stranger = (Customer(channel, auth.login(name).access_token) for name in ("ada", "stranger"))
    assert nobody.catalog() == ["compass", "lantern", "rope"]
    assert refused(nobody.place) == ("UNAUTHENTICATED", "TOKEN_MISSING")
    assert refused(nobody.cancel, orders_pb2.Order(id=1)) == ("UNAUTHENTICATED", "TOKEN_MISSING")
    assert refused(next, nobody.watch()) == ("UNAUTHENTICATED", "TOKEN_MISSING")
    order = stranger.place()
    assert refused(stranger.cancel, order) == ("PERMISSION_DENIED", "ROLE_MISSING")
    support.cancel(order)
    assert refused(support.cancel, order) == ("NOT_FOUND", None)


def test_an_open_stream_ends_with_the_session(auth: AuthProcess, channel: grpc.Channel) -> None:
    token = auth.login("ada").access_token
    ada = Customer(channel, token)
    watch = ada.watch()
    order = ada.place()
    assert next(watch).order == order
    with auth.process.stub() as stub:
        assert logout(stub, token) == 1
    assert refused(next, watch) == ("UNAUTHENTICATED", "SESSION_ENDED")
    assert refused(ada.place) == ("UNAUTHENTICATED", "SESSION_ENDED")


@pytest.mark.parametrize("auth", [OwnServer()], ids=["own"], indirect=True)
def test_while_the_authentication_server_is_stopped_only_what_must_ask_is_unavailable(
    auth: AuthProcess, channel: grpc.Channel
) -> None:
    auth.operate("users", "grant", "ada", "support")
    support = Customer(channel, auth.login("ada").access_token)
    order = support.place()
    auth.process.kill_all()
    assert refused(support.cancel, order) == ("UNAVAILABLE", "VERIFICATION_UNAVAILABLE")
    assert support.place().id == order.id + 1, "the view is young enough for ten seconds"
    assert Customer(channel).catalog()
    auth.process.start()
    wait_until(lambda: answered(support.cancel, order), SOON, "CancelOrder, which asks the server that is back")


def test_protecting_the_service_takes_less_than_ten_lines() -> None:
    before, after = (path.read_text().splitlines() for path in (UNPROTECTED, PYTHON_SERVICE))
    changes = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    # The first line of the file says which of the two it is.
    added = [line for line in changes if line.startswith("+") and not line.startswith('+"""')]
    removed = [line for line in changes if line.startswith("-") and not line.startswith('-"""')]
    assert "AuthInterceptor" in "".join(added), "they differ in the protection"
    assert len(added) < 10
    assert len(removed) <= len(added)
    bodies = [line for line in added if "context" in line]
    assert bodies == ["+    return current_identity(context).user_id"], "no handler has changed"


def test_the_unprotected_service_runs_and_knows_nobody(start: Start) -> None:
    address = free_address()
    start(sys.executable, UNPROTECTED, "--listen", address).wait_for(f"orders serves on {address}")
    with grpc.insecure_channel(address) as channel:
        order = Customer(channel).place()
        assert (order.id, order.user_id) == (1, "nobody")
        Customer(channel).cancel(order)


@pytest.mark.parametrize("program", [PYTHON_SERVICE, UNPROTECTED], ids=["protected", "unprotected"])
def test_ctrl_c_stops_the_service_even_while_somebody_watches(start: Start, auth: AuthProcess, program: Path) -> None:
    address = free_address()
    more = ("--auth", auth.address) if program is PYTHON_SERVICE else ()
    service = start(sys.executable, program, "--listen", address, *more).wait_for("orders serves on")
    with grpc.insecure_channel(address) as channel:
        ada = Customer(channel, auth.login("ada").access_token)
        ada.place()
        watch = ada.watch()
        next(watch)
        service.signal(signal.SIGINT)
        assert service.exit_code(STOP_SECONDS) == 0
        with pytest.raises(grpc.RpcError):
            next(watch)
    assert "Traceback" not in service.output()


@pytest.mark.parametrize("program", [PYTHON_SERVICE, UNPROTECTED], ids=["protected", "unprotected"])
def test_a_taken_port_is_told_and_not_shared(start: Start, tmp_path: Path, program: Path) -> None:
    address = free_address()
    start(sys.executable, program, "--listen", address).wait_for("orders serves on")
    done = run([sys.executable, program, "--listen", address], tmp_path, CALL_SECONDS)
    assert (done.returncode, done.stdout) == (1, "")
    said = done.stderr.splitlines()
    assert said[-1].startswith(f"orders cannot listen on {address}.")
    assert "Traceback" not in done.stderr


def test_a_customer_with_a_wrong_password_is_told_in_one_line(auth: AuthProcess, address: str, tmp_path: Path) -> None:
    done = visit(auth.address, address, "a wrong password", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "UNAUTHENTICATED CREDENTIALS_INVALID: User name or password is wrong.\n"


def test_a_customer_of_a_server_that_is_away_is_told_in_one_line(auth: AuthProcess, tmp_path: Path) -> None:
    nobody = free_address()
    for servers in ((nobody, nobody), (auth.address, nobody)):
        done = visit(*servers, PASSWORD, tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("UNAVAILABLE: ")
        assert nobody in done.stderr
        assert done.stderr.count("\n") == 1


def visit(auth: str, orders: str, password: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Let ada shop with this password, whatever comes of it."""
    arguments = ("--auth", auth, "--orders", orders, "--user", "ada", "--password", password)
    return run([sys.executable, PYTHON_CUSTOMER, *arguments], folder, CALL_SECONDS)


def test_the_example_names_no_password_or_token_in_what_it_prints(
    auth: AuthProcess, start: Start, tmp_path: Path
) -> None:
    address = free_address()
    service = start(sys.executable, PYTHON_SERVICE, "--listen", address, "--auth", auth.address)
    service.wait_for("orders serves on")
    done = customer([sys.executable, PYTHON_CUSTOMER], auth, address, tmp_path)
    said = service.output() + done.stdout + done.stderr
    assert "eyJ" not in said, "the beginning of every token"
    assert "quiet copper" not in said
