"""The orders service: every call is judged by the rule of its method in orders.proto."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from authclient import AuthInterceptor, Trust, current_identity
from grpc_reflection.v1alpha import reflection
from orders.v1 import orders_pb2, orders_pb2_grpc
from shop import ARTICLES, NoSuchThing, Order, Shop

SERVICES = ("orders.v1.OrdersService", reflection.SERVICE_NAME)
"""What reflection describes, to `grpcurl` and `authclient lint --server`."""


class Orders(orders_pb2_grpc.OrdersServiceServicer):
    """Serves orders.v1.OrdersService."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def GetCatalog(
        self, request: orders_pb2.GetCatalogRequest, context: grpc.ServicerContext
    ) -> orders_pb2.GetCatalogResponse:
        return orders_pb2.GetCatalogResponse(articles=ARTICLES)

    def PlaceOrder(
        self, request: orders_pb2.PlaceOrderRequest, context: grpc.ServicerContext
    ) -> orders_pb2.PlaceOrderResponse:
        try:
            order = self._shop.place(request.article, user_of(context))
        except NoSuchThing as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        return orders_pb2.PlaceOrderResponse(order=to_message(order))

    def WatchOrders(
        self, request: orders_pb2.WatchOrdersRequest, context: grpc.ServicerContext
    ) -> Iterator[orders_pb2.WatchOrdersResponse]:
        context.add_callback(self._shop.wake)
        for order in self._shop.follow(user_of(context), context.is_active):
            yield orders_pb2.WatchOrdersResponse(order=to_message(order))

    def CancelOrder(
        self, request: orders_pb2.CancelOrderRequest, context: grpc.ServicerContext
    ) -> orders_pb2.CancelOrderResponse:
        try:
            self._shop.cancel(request.id)
        except NoSuchThing as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        return orders_pb2.CancelOrderResponse()


def user_of(context: grpc.ServicerContext) -> str:
    """Return the id of the user who is calling."""
    return current_identity(context).user_id


def to_message(order: Order) -> orders_pb2.Order:
    """Return an order as the wire has it."""
    return orders_pb2.Order(id=order.id, article=order.article, user_id=order.user_id)


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:50052", metavar="HOST:PORT")
    parser.add_argument("--auth", default="127.0.0.1:50051", metavar="HOST:PORT", help="the authentication service")
    options = parser.parse_args()
    trust = Trust(options.auth, audience="internal")
    guard = AuthInterceptor(trust, orders_pb2.DESCRIPTOR)
    # Where a port is taken, grpc would share it and its calls without a word.
    server = grpc.server(ThreadPoolExecutor(16), interceptors=[guard], options=(("grpc.so_reuseport", 0),))
    orders_pb2_grpc.add_OrdersServiceServicer_to_server(Orders(Shop()), server)
    reflection.enable_server_reflection(SERVICES, server)
    try:
        server.add_insecure_port(options.listen)
    except RuntimeError:
        sys.exit(f"orders cannot listen on {options.listen}. Is it taken? --listen HOST:PORT names another address.")
    server.start()
    print(f"orders serves on {options.listen}. Stop it with Ctrl-C.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.wait_for_termination()
    server.stop(grace=0).wait()  # Or open streams would keep the process alive.


if __name__ == "__main__":
    main()
