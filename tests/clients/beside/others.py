"""Interceptors of other people, for both kinds of server, as they are installed."""

from collections.abc import Callable
from typing import Any

import grpc
import grpc_interceptor
from opentelemetry.instrumentation.grpc import aio_server_interceptor, server_interceptor
from prometheus_client import CollectorRegistry
from py_grpc_prometheus.prometheus_server_interceptor import PromServerInterceptor

KINDS_BY_NAME = {
    "UNARY": "unary_unary",
    "SERVER_STREAMING": "unary_stream",
    "CLIENT_STREAMING": "stream_unary",
    "BIDI_STREAMING": "stream_stream",
}
"""By the names that prometheus has."""


class Watched(grpc_interceptor.ServerInterceptor):
    """Notes whether the request of a call is one message, and whether its answer is."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool, bool]] = []

    def intercept(self, method: Callable[..., Any], request: Any, context: Any, method_name: str) -> Any:
        answer = method(request, context)
        self.seen.append((method_name.rpartition("/")[2], isinstance(request, bytes), isinstance(answer, bytes)))
        return answer


class AioWatched(grpc_interceptor.AsyncServerInterceptor):
    """The same for asyncio."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool, bool]] = []

    async def intercept(self, method: Callable[..., Any], request: Any, context: Any, method_name: str) -> Any:
        answer = method(request, context)
        answer = answer if hasattr(answer, "__aiter__") else await answer
        self.seen.append((method_name.rpartition("/")[2], isinstance(request, bytes), isinstance(answer, bytes)))
        return answer


class Counted:
    """py-grpc-prometheus, and what it has counted."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.interceptor: Any = PromServerInterceptor(registry=self._registry)

    @property
    def kinds(self) -> dict[str, str]:
        """Of which kind it takes each method to be that has been called."""
        samples = [sample for metric in self._registry.collect() for sample in metric.samples]
        return {s.labels["grpc_method"]: KINDS_BY_NAME[s.labels["grpc_type"]] for s in samples if s.value}


def traced() -> grpc.ServerInterceptor:
    """Return OpenTelemetry's, as `GrpcInstrumentorServer` puts it before all others."""
    make: Any = server_interceptor
    found: grpc.ServerInterceptor = make()
    return found


def aio_traced() -> grpc.aio.ServerInterceptor:
    """Return OpenTelemetry's for asyncio."""
    make: Any = aio_server_interceptor
    found: grpc.aio.ServerInterceptor = make()
    return found


OTHERS: dict[str, Callable[[], Any]] = {
    "opentelemetry": traced,
    "grpc-interceptor": Watched,
    "prometheus": lambda: Counted().interceptor,
}
AIO_OTHERS: dict[str, Callable[[], Any]] = {
    "opentelemetry": aio_traced,
    "grpc-interceptor": AioWatched,
}
