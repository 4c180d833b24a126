"""A service author's tests: the orders example, guarded with authclient.testing and nothing else."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import grpc_testing
import pytest
from authapi.v1 import rule_pb2
from authclient import AuthInterceptor, Observer, TokenRefused, TokenVerifier, aio, current_identity, reason_of
from authclient.testing import Clock, Issuer, LocalTrust, guarded
from authclient.testing.issuer import ADA
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BytesValue

from tests.clients.guarded import Guarded, Outcome, begin, ending, every_kind, handler, outcome, path
from tests.clients.protos import SERVICE, service_file
from tests.clients.scripted import SOON
from tests.examples.shops import Orders, Shop, orders_pb2, orders_pb2_grpc

pytest_plugins = ["authclient.testing.fixtures"]

GRACE = "0191d5a5-0000-7000-8000-000000000002"
LEEWAY = 30.0
ROOT = Path(__file__).parents[2]

ORDERS = orders_pb2.DESCRIPTOR.services_by_name["OrdersService"]
RULES: dict[str, rule_pb2.Rule | None] = {
    "look": rule_pb2.Rule(public=True),
    "buy": rule_pb2.Rule(authenticated=True),
    "cancel": rule_pb2.Rule(any_role=["support", "shop-admin"]),
    "refund": rule_pb2.Rule(authenticated=True, mfa=True),
    "close": rule_pb2.Rule(authenticated=True, max_auth_age=Duration(seconds=300)),
    "wire": rule_pb2.Rule(authenticated=True, max_staleness=Duration()),
    "try_out": rule_pb2.Rule(any_role=["support"], observe=True),
    "forgotten": None,
}


class Shops:
    """The same service under one kind of server. `call` returns the reason of the refusal, or None."""

    def __init__(self, call: Callable[[str, str | None], str | None]) -> None:
        self._call = call

    def reason(self, method: str, token: str | None = None) -> str | None:
        """Return why a call is refused."""
        return self._call(method, token)


def answer(_request: Any, context: Any) -> bytes:
    return b"done"


def _handlers(behavior: Callable[..., Any]) -> dict[str, Any]:
    return {name: handler("unary_unary", behavior) for name in RULES}


def _reason(channel: grpc.Channel, method: str, token: str | None) -> str | None:
    metadata = Issuer.metadata(token) if token else ()
    done = outcome(channel, "unary_unary", path(method), metadata=metadata)
    return None if done.code is grpc.StatusCode.OK else done.reason


class AioShop:
    """The service under grpc.aio, in a thread of its own."""

    def __init__(self, trust: LocalTrust) -> None:
        self._trust = trust
        self._started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))
        self._thread.start()
        assert self._started.wait(SOON)

    async def _serve(self) -> None:
        async def buy(request: bytes, context: Any) -> bytes:
            return answer(request, context)

        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = grpc.aio.server(interceptors=[aio.AuthInterceptor(self._trust, service_file(**RULES))])
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, _handlers(buy)),))
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._started.set()
        await self._over.wait()
        await server.stop(0)

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(SOON)


def _grpc_testing_reason(servicer: Any, service: Any, method: str, token: str | None) -> str | None:
    server = grpc_testing.server_from_dictionary({service: servicer}, grpc_testing.strict_real_time())
    metadata = Issuer.metadata(token) if token else ()
    call = server.invoke_unary_unary(service.methods_by_name[method], metadata, BytesValue(), None)
    _, trailing, code, _ = call.termination()
    return None if code is grpc.StatusCode.OK else reason_of(trailing)


@pytest.fixture(params=["sync", "aio", "grpc_testing"])
def shops(request: pytest.FixtureRequest, auth_trust: LocalTrust) -> Iterator[Shops]:
    """Yield the service, guarded as each kind of server is."""
    if request.param == "sync":
        with Guarded(auth_trust, _handlers(answer), RULES) as server:
            yield Shops(lambda method, token: _reason(server.channel, method, token))
    elif request.param == "aio":
        shop = AioShop(auth_trust)
        with grpc.insecure_channel(f"127.0.0.1:{shop.port}") as channel:
            yield Shops(lambda method, token: _reason(channel, method, token))
        shop.stop()
    else:
        service = service_file(**RULES).services_by_name["Shop"]
        real = type("Servicer", (), {name: staticmethod(lambda *_: BytesValue()) for name in RULES})()
        servicer = guarded(real, service, auth_trust)
        yield Shops(lambda method, token: _grpc_testing_reason(servicer, service, method, token))


def test_each_rule_is_kept_in_every_kind_of_server(shops: Shops, auth_issuer: Issuer) -> None:
    plain = auth_issuer.token()
    assert shops.reason("look") is None
    assert shops.reason("buy", plain) is None
    assert shops.reason("buy") == "TOKEN_MISSING"
    assert shops.reason("buy", "nonsense") == "TOKEN_INVALID"
    assert shops.reason("forgotten", plain) == "METHOD_WITHOUT_RULE"
    assert shops.reason("cancel", plain) == "ROLE_MISSING"
    assert shops.reason("cancel", auth_issuer.token(roles=["Support", "supporter"])) == "ROLE_MISSING"
    assert shops.reason("cancel", auth_issuer.token(roles=["reader", "shop-admin"])) is None
    assert shops.reason("refund", plain) == "MFA_REQUIRED"
    assert shops.reason("refund", auth_issuer.token(mfa=True)) is None
    assert shops.reason("try_out", plain) is None
    assert shops.reason("try_out") is None


def test_a_login_is_too_old_from_the_second_that_the_rule_says(
    shops: Shops, auth_issuer: Issuer, auth_clock: Clock
) -> None:
    token = auth_issuer.token()
    auth_clock.advance(299 + LEEWAY)
    assert shops.reason("close", token) is None
    auth_clock.advance(2)
    assert shops.reason("close", token) == "AUTHENTICATION_TOO_OLD"
    assert shops.reason("buy", token) is None
    assert shops.reason("close", auth_issuer.token(authenticated_ago=299)) is None
    assert shops.reason("close", auth_issuer.token(authenticated_ago=300 + LEEWAY + 1)) == "AUTHENTICATION_TOO_OLD"


def test_a_token_expires_when_the_clock_says_so(shops: Shops, auth_issuer: Issuer, auth_clock: Clock) -> None:
    token, short = auth_issuer.token(), auth_issuer.token(expires_in=60)
    auth_clock.advance(59 + LEEWAY)
    assert shops.reason("buy", short) is None
    auth_clock.advance(2)
    assert shops.reason("buy", short) == "TOKEN_EXPIRED"
    assert shops.reason("buy", token) is None
    auth_clock.advance(900)
    assert shops.reason("buy", token) == "TOKEN_EXPIRED"
    assert shops.reason("buy", auth_issuer.token()) is None


def test_a_token_can_be_made_expired_or_wrong_from_the_start(shops: Shops, auth_issuer: Issuer) -> None:
    assert shops.reason("buy", auth_issuer.token(expires_in=-LEEWAY - 1)) == "TOKEN_EXPIRED"
    now = int(auth_issuer.clock())
    later = {"nbf": now + 120, "iat": now + 120, "exp": now + 500}
    assert shops.reason("buy", auth_issuer.token(claims=later)) == "TOKEN_NOT_YET_VALID"
    assert shops.reason("buy", auth_issuer.token(claims={"aud": "billing"})) == "TOKEN_INVALID"
    assert shops.reason("buy", auth_issuer.token(claims={"roles": "support"})) == "TOKEN_INVALID"


def test_a_revocation_counts_at_once_and_for_one_session_only(shops: Shops, auth_issuer: Issuer) -> None:
    token, other = auth_issuer.token(), auth_issuer.token()
    session = "0191d5a5-0000-7000-8000-00000000000a"
    same = [auth_issuer.token(session_id=session) for _ in range(2)]
    assert shops.reason("buy", token) is None
    auth_issuer.revoke(token)
    auth_issuer.revoke(same[0])
    assert shops.reason("buy", token) == "SESSION_ENDED"
    assert [shops.reason("buy", each) for each in same] == ["SESSION_ENDED"] * 2
    assert shops.reason("wire", token) == "SESSION_ENDED"
    assert shops.reason("buy", other) is None


def test_outdated_roles_are_refused_until_a_fresh_token_comes(shops: Shops, auth_issuer: Issuer) -> None:
    token, of_grace = auth_issuer.token(roles=["support"]), auth_issuer.token(user_id=GRACE, user_name="grace")
    auth_issuer.outdate()
    assert shops.reason("cancel", token) == "TOKEN_OUTDATED"
    assert shops.reason("buy", of_grace) is None
    assert shops.reason("cancel", auth_issuer.token(roles=["support"])) is None
    auth_issuer.outdate(GRACE)
    assert shops.reason("buy", of_grace) == "TOKEN_OUTDATED"


def test_keys_are_rotated_and_removed(shops: Shops, auth_issuer: Issuer) -> None:
    token = auth_issuer.token()
    auth_issuer.rotate_key()
    fresh = auth_issuer.token()
    assert [shops.reason("buy", each) for each in (token, fresh)] == [None, None]
    auth_issuer.remove_keys()
    assert [shops.reason("buy", each) for each in (token, fresh)] == ["TOKEN_INVALID", None]


def test_a_stale_view_asks_and_hears_of_everything(
    shops: Shops, auth_issuer: Issuer, auth_trust: LocalTrust, auth_clock: Clock
) -> None:
    good, ended = auth_issuer.token(), auth_issuer.token()
    auth_trust.stale()
    auth_issuer.revoke(ended)
    assert shops.reason("buy", ended) is None, "young enough to be believed, and it does not know"
    assert shops.reason("wire", ended) == "SESSION_ENDED", "Verify is asked, and knows"
    auth_clock.advance(10)
    assert shops.reason("buy", ended) is None
    auth_clock.advance(0.1)
    assert shops.reason("buy", ended) == "SESSION_ENDED"
    assert shops.reason("buy", good) is None


def test_an_authentication_service_that_is_away_is_unavailable_once_the_view_is_old(
    shops: Shops, auth_issuer: Issuer, auth_trust: LocalTrust, auth_clock: Clock
) -> None:
    token, ended = auth_issuer.token(), auth_issuer.token()
    auth_trust.away()
    assert shops.reason("buy", token) is None
    assert shops.reason("wire", token) == "VERIFICATION_UNAVAILABLE"
    auth_clock.advance(10.1)
    assert shops.reason("buy", token) == "VERIFICATION_UNAVAILABLE"
    assert shops.reason("look") is None
    auth_issuer.revoke(ended)
    auth_trust.back()
    assert shops.reason("buy", token) is None
    assert shops.reason("wire", token) is None
    assert shops.reason("buy", ended) == "SESSION_ENDED"
    auth_trust.away()
    auth_trust.stale()
    assert shops.reason("wire", token) is None, "stale is a cut stream; Verify answers"


def test_the_tokens_of_another_issuer_are_refused(shops: Shops, auth_clock: Clock) -> None:
    for other in (Issuer(auth_clock), Issuer(auth_clock, issuer="staging"), Issuer(auth_clock, audience="billing")):
        assert shops.reason("buy", other.token()) == "TOKEN_INVALID"


# --- with grpcio-testing and the example itself ----------------------------------------------------------------------


@pytest.fixture
def orders(auth_trust: LocalTrust) -> Any:
    """Return a grpc_testing server of the example."""
    servicer = guarded(Orders(Shop()), ORDERS, auth_trust)
    return grpc_testing.server_from_dictionary({ORDERS: servicer}, grpc_testing.strict_real_time())


def test_the_example_is_tested_without_a_server(orders: Any, auth_issuer: Issuer) -> None:
    def call(method: str, request: Any, **token: Any) -> tuple[Any, grpc.StatusCode, str | None]:
        metadata = auth_issuer.metadata(auth_issuer.token(**token)) if token else ()
        response, trailing, code, _ = orders.invoke_unary_unary(
            ORDERS.methods_by_name[method], metadata, request, None
        ).termination()
        return response, code, reason_of(trailing or ())

    catalog, code, _ = call("GetCatalog", orders_pb2.GetCatalogRequest())
    assert (code, len(catalog.articles)) == (grpc.StatusCode.OK, 3)
    place = orders_pb2.PlaceOrderRequest(article="rope")
    assert call("PlaceOrder", place)[1:] == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    placed, code, _ = call("PlaceOrder", place, user_id=GRACE)
    assert (code, placed.order.user_id) == (grpc.StatusCode.OK, GRACE)
    cancel = orders_pb2.CancelOrderRequest(id=placed.order.id)
    assert call("CancelOrder", cancel, user_id=GRACE)[1:] == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")
    assert call("CancelOrder", cancel, roles=["support"])[1] is grpc.StatusCode.OK
    assert call("CancelOrder", cancel, roles=["support"])[1:] == (grpc.StatusCode.NOT_FOUND, None)


def test_a_stream_of_the_example_is_judged_when_it_opens(orders: Any, auth_issuer: Issuer) -> None:
    watch = ORDERS.methods_by_name["WatchOrders"]
    refused = orders.invoke_unary_stream(watch, (), orders_pb2.WatchOrdersRequest(), None)
    trailing, code, _ = refused.termination()
    assert (code, reason_of(trailing)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    metadata = auth_issuer.metadata(auth_issuer.token())
    orders.invoke_unary_unary(
        ORDERS.methods_by_name["PlaceOrder"], metadata, orders_pb2.PlaceOrderRequest(article="rope"), None
    ).termination()
    watched = orders.invoke_unary_stream(watch, metadata, orders_pb2.WatchOrdersRequest(), None)
    assert watched.take_response().order.article == "rope"
    watched.cancel()
    other = orders.invoke_unary_unary(
        ORDERS.methods_by_name["PlaceOrder"], metadata, orders_pb2.PlaceOrderRequest(article="rope"), None
    )
    assert other.termination()[2] is grpc.StatusCode.OK


# --- with a real server ----------------------------------------------------------------------------------------------


def test_open_streams_end_when_their_session_does(auth_trust: LocalTrust, auth_issuer: Issuer) -> None:
    pool = ThreadPoolExecutor(8)
    server = grpc.server(pool, interceptors=[AuthInterceptor(auth_trust, orders_pb2.DESCRIPTOR)])
    orders_pb2_grpc.add_OrdersServiceServicer_to_server(Orders(Shop()), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = orders_pb2_grpc.OrdersServiceStub(channel)
        mine, other = (auth_issuer.metadata(auth_issuer.token(user_id=user)) for user in (ADA, GRACE))
        watches = []
        for metadata in (mine, other):
            stub.PlaceOrder(orders_pb2.PlaceOrderRequest(article="rope"), metadata=metadata, timeout=SOON)
            watches.append(stub.WatchOrders(orders_pb2.WatchOrdersRequest(), metadata=metadata, timeout=SOON))
            assert next(watches[-1]).order.article == "rope"
        auth_issuer.revoke(mine[0][1].removeprefix("Bearer "))
        assert _ended(watches[0]).reason == "SESSION_ENDED"
        stub.PlaceOrder(orders_pb2.PlaceOrderRequest(article="compass"), metadata=other, timeout=SOON)
        assert next(watches[1]).order.article == "compass"
        auth_issuer.outdate(GRACE)
        assert _ended(watches[1]).reason == "TOKEN_OUTDATED"
    server.stop(0).wait()
    pool.shutdown()


def test_open_streams_end_when_the_clock_or_the_keys_move_on(
    auth_trust: LocalTrust, auth_issuer: Issuer, auth_clock: Clock
) -> None:
    begun = threading.Semaphore(0)

    def wait(_request: bytes, context: Any) -> Iterator[bytes]:
        gone = threading.Event()
        context.add_callback(gone.set)
        begun.release()
        gone.wait(SOON)
        yield b""

    with Guarded(auth_trust, {"buy": handler("unary_stream", wait)}, {"buy": RULES["buy"]}) as server:
        changes: list[tuple[str, list[Callable[[], None]]]] = [
            ("TOKEN_EXPIRED", [lambda: auth_clock.advance(900 + LEEWAY)]),
            ("TOKEN_INVALID", [auth_issuer.rotate_key, auth_issuer.remove_keys]),
            ("VERIFICATION_UNAVAILABLE", [auth_trust.away, lambda: auth_clock.advance(10.1)]),
        ]
        for reason, steps in changes:
            metadata = auth_issuer.metadata(auth_issuer.token())
            call = begin(server.channel, "unary_stream", path("buy"), metadata=metadata, timeout=SOON)
            assert begun.acquire(timeout=SOON)
            for step in steps:
                step()
            assert _ended(call).reason == reason


def _ended(call: Any) -> Outcome:
    with pytest.raises(grpc.RpcError):
        list(call)
    return ending(call, [])


# --- what the kit is --------------------------------------------------------------------------------------------------


def test_the_tokens_pass_the_real_verifier_and_no_other_issuers(auth_issuer: Issuer, auth_clock: Clock) -> None:
    token = auth_issuer.token(roles=["b", "a"], mfa=True, user_name="grace", user_id=GRACE)
    now = datetime.fromtimestamp(auth_clock(), UTC)
    claims = TokenVerifier("authservice", "internal", auth_issuer.keys.get).verify(token, now)
    assert (claims.user_id, claims.user_name, claims.roles) == (GRACE, "grace", ("a", "b"))
    assert "mfa" in claims.auth_methods
    with pytest.raises(TokenRefused, match="unknown key"):
        TokenVerifier("authservice", "internal", Issuer(auth_clock).keys.get).verify(token, now)


def test_a_handler_learns_who_the_token_is_for(auth_trust: LocalTrust, auth_issuer: Issuer) -> None:
    handlers = every_kind(lambda _, context: [current_identity(context).user_name.encode()])
    with Guarded(auth_trust, handlers) as server:
        for kind in handlers:
            metadata = auth_issuer.metadata(auth_issuer.token(user_name="grace"))
            assert server.call(kind, metadata=metadata).messages == [b"grace"]


def test_asking_a_thousand_times_leaves_nothing_behind(auth_trust: LocalTrust, auth_issuer: Issuer) -> None:
    def listeners() -> tuple[int, int]:
        return len(auth_issuer._listeners), len(auth_issuer.clock._listeners)

    before, token = listeners(), auth_issuer.token()
    with Guarded(auth_trust, {"wire": handler("unary_unary", answer)}, {"wire": RULES["wire"]}) as server:
        for _ in range(20):
            assert server.call("unary_unary", name="wire", metadata=auth_issuer.metadata(token)).reason is None
    assert listeners() == before


def test_an_observer_of_the_kit_hears_what_a_real_one_would(auth_issuer: Issuer) -> None:
    heard: list[tuple[str, str, bool]] = []

    class Heard(Observer):
        def refused(self, method: str, reason: str, *, enforced: bool) -> None:
            heard.append((method, reason, enforced))

    trust = LocalTrust(auth_issuer, observer=Heard())
    with Guarded(trust, _handlers(answer), RULES) as server:
        for method in ("cancel", "try_out"):
            server.call("unary_unary", name=method, metadata=auth_issuer.metadata(auth_issuer.token()))
    assert heard == [(path("cancel"), "ROLE_MISSING", True), (path("try_out"), "ROLE_MISSING", False)]


def test_the_fixtures_come_by_name_of_their_plugin(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["authclient.testing.fixtures"]\n')
    (tmp_path / "test_it.py").write_text(
        "def test_it(auth_issuer, auth_trust, auth_clock):\n"
        "    token = auth_issuer.token()\n"
        "    assert auth_trust.judge.judge(token, 10.0).caller.identity.user_name == 'ada'\n"
        "    auth_clock.advance(5)\n"
        "    assert auth_trust.view_age() == 0\n"
        "def test_the_next_one_knows_nothing_of_it(auth_issuer, auth_trust):\n"
        "    assert auth_issuer.view.rule_count == 0 and len(auth_issuer.keys) == 1\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_kit_needs_neither_pytest_nor_a_server_nor_threads_nor_sockets() -> None:
    program = """
import socket, sys, threading
def refuse(*_, **__): raise AssertionError("not in a test kit")
sys.modules["pytest"] = sys.modules["authservice"] = sys.modules["_pytest"] = None
import authclient.testing as kit
socket.socket = socket.create_connection = threading.Thread.start = refuse
clock = kit.Clock(); issuer = kit.Issuer(clock); trust = kit.LocalTrust(issuer)
from authclient.decisions import Ask
token = issuer.token(roles=["support"])
assert trust.ask(Ask(token), 1.0).roles == {"support"}
issuer.rotate_key(); issuer.revoke(token); issuer.outdate(); clock.advance(5)
trust.stale(); trust.away(); trust.back(); issuer.remove_keys()
from authapi.v1 import auth_service_pb2 as api
kit.guarded(type("S", (), {"__getattr__": lambda *_: print})(), api.DESCRIPTOR.services_by_name["AuthService"], trust)
assert threading.active_count() == 1, threading.enumerate()
assert not [name for name in sys.modules if name.split(".")[0] in ("authservice", "sqlalchemy") and sys.modules[name]]
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
