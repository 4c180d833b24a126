"""Calls again and again, from the machine that it runs on, and prints how each has ended.

    python -m tests.examples.far_callers AUTH_ADDRESS USER PASSWORD NAME=ORDERS_ADDRESS...

A line is `call`, the moment in seconds (time.monotonic(), which all namespaces share), the name of a caller and an
outcome: OK, a reason or a code.
"""

import sys
import threading
import time
from collections.abc import Callable

import grpc
from authclient import Refused, Session, Trust, reason_of
from authclient._judging.verified import Ask

from tests.examples.shops import orders_pb2, orders_pb2_grpc

PERIOD = 0.1
CALL_SECONDS = 3.0


def main() -> None:
    """Call until this process is ended."""
    auth, user, password, *services = sys.argv[1:]
    session = Session(auth)
    session.login(user, password)
    token = session.access_token()
    trust = Trust(auth, audience="internal")
    assert trust.wait_until_ready(30)
    callers: dict[str, Callable[[], object]] = {
        "session": lambda: session.replace(session.access_token()),
        "verify": lambda: trust.ask(Ask(token), CALL_SECONDS),
    }
    for name, address in (service.split("=") for service in services):
        callers[name] = _orders(address, token)
    threads = [threading.Thread(target=_call, args=caller) for caller in callers.items()]
    for thread in threads:
        thread.start()


def _orders(address: str, token: str) -> Callable[[], object]:
    orders = orders_pb2_grpc.OrdersServiceStub(grpc.insecure_channel(address))
    article = orders.GetCatalog(orders_pb2.GetCatalogRequest()).articles[0]
    request = orders_pb2.PlaceOrderRequest(article=article)
    metadata = (("authorization", f"Bearer {token}"),)
    return lambda: orders.PlaceOrder(request, metadata=metadata, timeout=CALL_SECONDS)


def _call(name: str, call: Callable[[], object]) -> None:
    while True:
        try:
            call()
            outcome = "OK"
        except Refused as error:
            outcome = error.reason
        except grpc.RpcError as error:
            outcome = reason_of(error.trailing_metadata()) or error.code().name
        print(f"call {time.monotonic()} {name} {outcome}", flush=True)
        time.sleep(PERIOD)


if __name__ == "__main__":
    main()
