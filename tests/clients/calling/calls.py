"""Calls that raise what they are refused with."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.clients.eventually import SOON
from tests.clients.guarded import path


def call(channel: grpc.Channel, kind: str = "unary_unary", request: bytes = b"x", **options: Any) -> list[bytes]:
    """Make a call of any kind and return the answers."""
    argument: Any = iter([request]) if kind.startswith("stream_") else request
    answer = getattr(channel, kind)(path(kind))(argument, timeout=SOON, **options)
    return list(answer) if kind.endswith("_stream") else [answer]


def refused(work: Callable[[], Any]) -> Any:
    """Return the error of a call that must be refused."""
    with pytest.raises(grpc.RpcError) as caught:
        work()
    return caught.value
