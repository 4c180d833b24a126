"""A shop with a method for each sort of rule."""

from collections.abc import Callable
from typing import Any

from authapi.v1.rule_pb2 import Rule
from google.protobuf.duration_pb2 import Duration

from tests.clients.guarded import handler

GRACE = "0191d5a5-0000-7000-8000-000000000002"
LEEWAY = 30.0
RULES: dict[str, Rule | None] = {
    "look": Rule(public=True),
    "buy": Rule(authenticated=True),
    "cancel": Rule(any_role=["support", "shop-admin"]),
    "refund": Rule(authenticated=True, mfa=True),
    "close": Rule(authenticated=True, max_auth_age=Duration(seconds=300)),
    "wire": Rule(authenticated=True, max_staleness=Duration()),
    "try_out": Rule(any_role=["support"], observe=True),
    "forgotten": None,
}


def answer(_request: Any, context: Any) -> bytes:
    return b"done"


async def answer_later(_request: Any, context: Any) -> bytes:
    return b"done"


def handlers_of(behavior: Callable[..., Any]) -> dict[str, Any]:
    """Return a handler for each method."""
    return {name: handler("unary_unary", behavior) for name in RULES}
