"""A customer: logs in, orders, watches the order, logs out, and is refused from then on."""

import argparse
import time

import grpc
from authclient import Session, reason_of
from orders.v1 import orders_pb2, orders_pb2_grpc

PATIENCE_SECONDS = 2.0
"""A logout is seen everywhere within one."""


def main() -> int:
    """Make the calls. Returns the exit code: 0 if the logout was noticed in time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--auth", default="127.0.0.1:50051", metavar="HOST:PORT")
    parser.add_argument("--orders", default="127.0.0.1:50052", metavar="HOST:PORT")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True, help="an example; real programs do not take it here")
    options = parser.parse_args()

    with Session(options.auth) as session:
        session.login(options.user, options.password)
        orders = orders_pb2_grpc.OrdersServiceStub(session.channel(options.orders))
        articles = orders.GetCatalog(orders_pb2.GetCatalogRequest()).articles
        print("The shop sells", ", ".join(articles))
        order = orders_pb2.PlaceOrderRequest(article=articles[0])
        placed = orders.PlaceOrder(order).order
        print(f"Order {placed.id} of one {placed.article} is placed")
        watch = orders.WatchOrders(orders_pb2.WatchOrdersRequest())
        print("The first of your orders is number", next(watch).order.id)
        token = session.access_token()
        session.logout()
        return 0 if is_refused(options.orders, order, token) else 1


def is_refused(address: str, order: orders_pb2.PlaceOrderRequest, token: str) -> bool:
    """Keep presenting the token of an ended session. Tells whether it was refused in time."""
    began = time.monotonic()
    with grpc.insecure_channel(address) as channel:
        orders = orders_pb2_grpc.OrdersServiceStub(channel)
        while time.monotonic() < began + PATIENCE_SECONDS:
            try:
                orders.PlaceOrder(order, metadata=(("authorization", f"Bearer {token}"),))
            except grpc.RpcError as error:
                took = (time.monotonic() - began) * 1000
                print(
                    f"Refused {took:.0f} ms after the logout: {error.code().name}", reason_of(error.trailing_metadata())
                )
                return error.code() is grpc.StatusCode.UNAUTHENTICATED
    return False


if __name__ == "__main__":
    raise SystemExit(main())
