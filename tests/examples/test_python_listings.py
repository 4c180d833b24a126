"""The Python listings of the pages run as they stand there, beside a running authentication service."""

import asyncio
import contextlib
import os
import re
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import authclient
import grpc
import pytest
from authclient import AuthInterceptor, Session, Trust, aio, forwarded
from opentelemetry.instrumentation.grpc import server_interceptor

from tests.examples.pages import BESIDE, ERRORS, PROTECT, README, TEST, TOKENS, block
from tests.examples.programs import CALL_SECONDS, AuthProcess, OwnServer, Program, finished, free_address, run
from tests.examples.shops import EXAMPLE, Orders, Shop, orders_pb2, orders_pb2_grpc
from tests.observed import refusal

AUTH, ORDERS = "127.0.0.1:50051", "127.0.0.1:50052"
ALONE = (("grpc.so_reuseport", 0), ("grpc.enable_http_proxy", 0))
START_SECONDS = 30.0
SECRET = "vq3Zt8Lr0pXw6Nf2Yk9Bd4Hs7Jc1Mg5Au3Ei8"

Start = Callable[..., Program]
Names = dict[str, Any]


@pytest.fixture
def trust(auth: AuthProcess) -> Iterator[Trust]:
    with Trust(auth.address, audience="internal") as trust:
        assert trust.wait_until_ready(START_SECONDS)
        yield trust


@contextlib.contextmanager
def served(server: grpc.Server, servicer: Any = None) -> Iterator[str]:
    """Serve orders until the block is left, and yield the address."""
    orders_pb2_grpc.add_OrdersServiceServicer_to_server(servicer or Orders(Shop()), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def guarded(trust: Trust) -> grpc.Server:
    """Return a server that lets callers in by what this trust knows."""
    guard = AuthInterceptor(trust, orders_pb2.DESCRIPTOR)
    return grpc.server(ThreadPoolExecutor(4), interceptors=[guard], options=ALONE)


@pytest.fixture
def orders(trust: Trust) -> Iterator[str]:
    """Yield the address of a guarded shop."""
    with served(guarded(trust)) as address:
        yield address


def place(address: str, token: str = "") -> Any:
    """Place an order."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address, ALONE) as channel:
        stub: Any = orders_pb2_grpc.OrdersServiceStub(channel)
        return stub.PlaceOrder(orders_pb2.PlaceOrderRequest(article="rope"), metadata=metadata, timeout=CALL_SECONDS)


def lists(names: Names, text: str) -> Names:
    """Run a listing, which may use these names, and return all that there are then."""
    exec(compile(text, "listing", "exec"), names)
    return names


def require_guarded(address: str, auth: AuthProcess) -> None:
    """Require that callers are let in by their token and only so."""
    assert place(address, auth.login("ada").access_token).order.article == "rope"
    assert refusal(place, address).reason == "TOKEN_MISSING"


GUARDED = {
    "readme": block(README, "python", "AuthInterceptor"),
    "patience": block(PROTECT, "python", "request_patience=5.0"),
    "options": block(PROTECT, "python", "SERVER_OPTIONS"),
    "tracing": block(BESIDE, "python", "server_interceptor()"),
}


@pytest.mark.parametrize("listing", GUARDED.values(), ids=GUARDED.keys())
def test_a_server_of_a_page_is_guarded(listing: str, auth: AuthProcess, trust: Trust) -> None:
    names = {
        "AuthInterceptor": AuthInterceptor,
        "ThreadPoolExecutor": ThreadPoolExecutor,
        "Trust": lambda _address, audience: trust,
        "authclient": authclient,
        "grpc": grpc,
        "guard": AuthInterceptor(trust, orders_pb2.DESCRIPTOR),
        "orders_pb2": orders_pb2,
        "pool": ThreadPoolExecutor(4),
        "server_interceptor": server_interceptor,
        "trust": trust,
    }
    with served(lists(names, listing)["server"]) as address:
        require_guarded(address, auth)


SERVING = {
    "asyncio": block(PROTECT, "python", "grpc.aio.server") + "\nimport asyncio\nasyncio.run(serve())\n",
    "processes": block(PROTECT, "python", "os.fork()"),
}


@pytest.mark.parametrize("listing", SERVING.values(), ids=SERVING.keys())
def test_a_program_of_the_page_serves_guarded(listing: str, auth: AuthProcess, start: Start, tmp_path: Path) -> None:
    address = free_address()
    program = tmp_path / "program.py"
    program.write_text(listing.replace(AUTH, auth.address).replace(ORDERS, address))
    started = start("env", f"PYTHONPATH={EXAMPLE}", sys.executable, program)
    with grpc.insecure_channel(address, ALONE) as channel:
        grpc.channel_ready_future(channel).result(START_SECONDS)
    require_guarded(address, auth)
    assert started.output() == ""


def test_a_service_calls_the_next_one_as_its_caller_as_the_page_shows(
    auth: AuthProcess, trust: Trust, orders: str
) -> None:
    with grpc.insecure_channel(orders, ALONE) as channel:
        names: Names = {"forwarded": forwarded, "next_service": orders_pb2_grpc.OrdersServiceStub(channel)}
        method = lists(names, block(PROTECT, "python", "forwarded(context)"))["PlaceOrder"]
        first = type("First", (orders_pb2_grpc.OrdersServiceServicer,), {"PlaceOrder": method})
        with served(guarded(trust), first()) as address:
            tokens = auth.login("ada")
            assert place(address, tokens.access_token).order.user_id == place(orders, tokens.access_token).order.user_id


def test_a_session_orders_as_the_page_shows(auth: AuthProcess, orders: str, capsys: pytest.CaptureFixture[str]) -> None:
    listing = block(PROTECT, "python", "with Session", "print(orders").replace(AUTH, auth.address)
    lists({"orders_pb2": orders_pb2, "orders_pb2_grpc": orders_pb2_grpc}, listing.replace(ORDERS, orders))
    assert capsys.readouterr().out == "lantern\n"


class Traced(grpc.aio.UnaryUnaryClientInterceptor):
    """An interceptor of somebody else."""

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """Do nothing."""
        return await continuation(details, request)


def in_a_loop(listing: str, names: Names) -> Names:
    """Run a listing of asyncio, and return the names that it has made."""
    lists(names, f"async def listing():\n{textwrap.indent(listing, '    ')}    return locals()\n")
    return asyncio.run(names["listing"]())


def test_a_session_of_asyncio_orders_as_the_page_shows(auth: AuthProcess, orders: str) -> None:
    listing = block(PROTECT, "python", "async with Session").replace(AUTH, auth.address).replace(ORDERS, orders)
    made = in_a_loop(listing, {"Session": aio.Session, "orders_pb2": orders_pb2, "orders_pb2_grpc": orders_pb2_grpc})
    assert made["answer"].order.article == "lantern"


def test_channels_of_ones_own_are_made_as_the_page_shows(auth: AuthProcess) -> None:
    names: Names = {
        "ca": grpc.ssl_channel_credentials(),
        "grpc": grpc,
        "orders_pb2_grpc": types.SimpleNamespace(OrdersServiceStub=lambda channel: channel),
        "tracing": Traced(),
    }
    with Session(auth.address) as session:
        names["session"] = session
        lists(names, block(PROTECT, "python", "session.call_credentials()"))["orders"].close()
    listing = block(PROTECT, "python", "session.attach(") + "await orders.close()\nawait session.close()\n"
    made = in_a_loop("session = Session()\n" + listing, {**names, "Session": lambda: aio.Session(auth.address)})
    assert isinstance(made["orders"], grpc.aio.Channel)


def test_tokens_are_obtained_verified_refreshed_and_ended_as_the_page_shows(
    auth: AuthProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    names = lists({}, block(TOKENS, "python", "import grpc").replace(AUTH, auth.address))
    lists(names, block(TOKENS, "python", "auth.Login("))
    session_id = names["tokens"].session_id
    lists(names, block(TOKENS, "python", "auth.Verify("))
    assert capsys.readouterr().out == f"{names['identity'].user_id} ada\n"
    lists(names, block(TOKENS, "python", "auth.Refresh("))
    assert names["tokens"].session_id == session_id
    lists(names, block(TOKENS, "python", "auth.Logout("))
    assert capsys.readouterr().out == "1\n"


@pytest.mark.parametrize("auth", [OwnServer(jwt_secret=SECRET)], indirect=True)
def test_a_service_with_the_same_secret_judges_by_itself_as_the_page_shows(
    auth: AuthProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    names = lists({}, block(TOKENS, "python", "shared_secret=").replace(AUTH, auth.address))
    with names["trust"] as trust, served(guarded(trust)) as address:
        assert trust.wait_until_ready(START_SECONDS)
        require_guarded(address, auth)


def test_metrics_are_shown_under_the_names_on_the_page(auth: AuthProcess, tmp_path: Path) -> None:
    # In a process of its own: there is one registry in each.
    listing = block(PROTECT, "python", "metrics.follow(trust)").replace(AUTH, auth.address)
    listing += "import prometheus_client\nprint(prometheus_client.generate_latest().decode())\ntrust.close()\n"
    said = finished([sys.executable, "-c", listing], tmp_path, CALL_SECONDS).stdout
    shown = set(re.findall(r"^\w+", block(PROTECT, "", "auth_judged_total"), re.MULTILINE))
    assert len(shown) > 3
    assert shown <= set(re.findall(r"^# TYPE (\w+)", said, re.MULTILINE))


def test_the_log_of_the_client_is_heard_as_the_page_shows(tmp_path: Path) -> None:
    listing = (
        "import logging\n" + block(PROTECT, "python", "basicConfig") + "logging.getLogger('authclient').info('it')"
    )
    assert run([sys.executable, "-c", listing], tmp_path, CALL_SECONDS).stderr == "INFO:authclient:it\n"


def test_another_machine_in_plaintext_is_refused_in_the_words_of_the_page() -> None:
    with pytest.raises(ValueError, match="another machine") as refused:
        Trust("auth.internal:50051", audience="internal")
    assert str(refused.value) == block(PROTECT, "", "another machine").strip()


def test_another_machine_is_trusted_by_its_ca_as_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"of a CA")
    names: Names = {"Path": Path, "Trust": Trust, "grpc": grpc}
    with contextlib.chdir(tmp_path):
        lists(names, block(PROTECT, "python", 'Path("ca.pem")'))["trust"].close()


def test_a_channel_that_resends_nothing_is_made_as_the_page_shows(auth: AuthProcess) -> None:
    listing = block(ERRORS, "python", "grpc.enable_retries").replace(AUTH, auth.address)
    with lists({"grpc": grpc}, listing)["channel"] as channel:
        grpc.channel_ready_future(channel).result(START_SECONDS)


PAGES_OF_TESTS = {
    "a server": (block(TEST, "python", "Who may do what"), block(TEST, "", "6 passed")),
    "without a server": (block(TEST, "python", "grpc_testing"), block(TEST, "", "1 passed")),
}


@pytest.mark.parametrize(("listing", "shown"), PAGES_OF_TESTS.values(), ids=PAGES_OF_TESTS.keys())
def test_the_tests_on_the_page_pass_as_it_shows(listing: str, shown: str, tmp_path: Path) -> None:
    (tmp_path / "test_orders.py").write_text(listing)
    command = [sys.executable, "-m", *block(TEST, "sh", "test_orders.py").split(), "-p", "no:cacheprovider"]
    alone = {"PYTHONPATH": str(EXAMPLE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = run(command, tmp_path, CALL_SECONDS, {**os.environ, **alone})
    assert re.sub(r"[\d.]+s$", "", done.stdout.strip()) == re.sub(r"[\d.]+s$", "", shown.strip()), done.stdout
