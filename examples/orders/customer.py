"""A customer: logs in, orders, watches the order, logs out, and is refused from then on."""

import argparse
import getpass
import sys
import time

import grpc
from authclient import LoginNeeded, Session, reason_of
from orders.v1 import orders_pb2, orders_pb2_grpc

PATIENCE_SECONDS = 2.0
"""A logout is seen everywhere within one."""


def main() -> int:
    """Return the exit code: 0 if the logout was noticed in time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--auth", default="127.0.0.1:50051", metavar="HOST:PORT")
    parser.add_argument("--orders", default="127.0.0.1:50052", metavar="HOST:PORT")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", help="asked for if it is not given: others on this machine see arguments")
    options = parser.parse_args()
    password = options.password or asked_password()
    try:
        return 0 if shop_around(options.auth, options.orders, options.user, password) else 1
    except grpc.RpcError as error:
        what = " ".join(filter(None, (error.code().name, reason_of(error.trailing_metadata()))))
        print(f"{what}: {error.details()}", file=sys.stderr)
    except LoginNeeded as error:
        print(error, file=sys.stderr)
    return 1


def asked_password() -> str:
    """Return the password: asked for at a terminal, where it does not show, or read from standard input."""
    return getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def shop_around(auth_address: str, orders_address: str, user: str, password: str) -> bool:
    """Make the calls. Tells whether the logout was noticed in time."""
    with Session(auth_address) as session:
        session.login(user, password)
        orders = orders_pb2_grpc.OrdersServiceStub(session.channel(orders_address))
        articles = orders.GetCatalog(orders_pb2.GetCatalogRequest()).articles
        print("The shop sells", ", ".join(articles))
        order = orders_pb2.PlaceOrderRequest(article=articles[0])
        placed = orders.PlaceOrder(order).order
        print(f"Order {placed.id} of one {placed.article} is placed")
        watch = orders.WatchOrders(orders_pb2.WatchOrdersRequest())
        print("The first of your orders is number", next(watch).order.id)
        token = session.access_token()
        session.logout()
        return is_refused(orders_address, order, token)


def is_refused(address: str, order: orders_pb2.PlaceOrderRequest, token: str) -> bool:
    """Keep presenting the token of an ended session. Tells whether it was refused in time."""
    began = time.monotonic()
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
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
    print(f"Still let in {PATIENCE_SECONDS:.0f} s after the logout")
    return False


if __name__ == "__main__":
    raise SystemExit(main())
