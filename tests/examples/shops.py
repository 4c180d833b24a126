"""The orders example, imported as its own folder has it."""

import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders"
sys.path.insert(0, str(EXAMPLE))  # Where its programs find `shop` and the stubs when they are started.

from orders.v1 import orders_pb2, orders_pb2_grpc  # noqa: E402
from serve import Orders  # noqa: E402
from shop import Shop  # noqa: E402

__all__ = ["EXAMPLE", "Orders", "Shop", "orders_pb2", "orders_pb2_grpc"]
