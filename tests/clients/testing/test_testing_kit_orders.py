"""A service author's tests of the orders example and of open streams, with authclient.testing."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc_testing
import pytest
from authclient import AuthInterceptor, Policy, reason_of
from authclient.testing import Clock, Issuer, LocalTrust, guarded
from authclient.testing.issuer import ADA

from tests.clients.eventually import SOON
from tests.clients.guarded import Guarded, Outcome, begin, ending, handler, outcome, path
from tests.clients.testing.shop_rules import GRACE, LEEWAY, RULES
from tests.examples.pages import PROTECT, block
from tests.examples.shops import Orders, Shop, orders_pb2, orders_pb2_grpc

pytest_plugins = ["authclient.testing.fixtures"]
ORDERS = orders_pb2.DESCRIPTOR.services_by_name["OrdersService"]


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
        refused = outcome(channel, "unary_unary", "/orders.v1.OrdersService/PlaceOrder", [b""], other)
        assert refused.reason == "TOKEN_OUTDATED"
        assert watches[1].is_active(), "its rule asks for no role"
        auth_issuer.revoke(other[0][1].removeprefix("Bearer "))
        assert _ended(watches[1]).reason == "SESSION_ENDED"
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


def test_the_lint_of_the_page_is_one_line_of_a_test() -> None:
    names: dict[str, Any] = {}
    exec(block(PROTECT, "python", ".rejected == {}"), names)
    names["test_every_rpc_has_a_usable_rule"]()
    names["Policy"] = lambda file, roles: Policy(file, roles={"admin"})
    with pytest.raises(AssertionError):
        names["test_every_rpc_has_a_usable_rule"]()
