"""The border between callers and use cases, around every call: its bytes, its errors.

grpc tells a caller the text of any exception that leaves a handler, SQL and passwords included. So every handler is
wrapped here: conditions of the domain become their status, everything else INTERNAL with a request id. Bytes that are
no message become INVALID_ARGUMENT; grpc alone would say INTERNAL.
"""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import grpc
import structlog
from authclient import EXEMPT_SERVICES
from google.rpc.status_pb2 import Status

from authservice.domain.errors import AuthError, InvalidInput, StorageUnavailable, Violation
from authservice.transport.statuses import abort, internal_status, status_of

log = structlog.get_logger()

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behavior = Callable[..., Any]
OnUnavailable: TypeAlias = Callable[[StorageUnavailable], None]
"""Hears of each call that is refused because of the database. The callers are told nothing of the cause."""


def nobody_hears(_error: StorageUnavailable) -> None:
    """Leave it at that."""


class _Unparsable:
    """Stands in for a request whose bytes are not the message."""


class Boundary(grpc.ServerInterceptor):
    """Wraps every handler. Lives as long as the server.

    Args:
        slow_methods: full names of the methods that hash passwords.
        slow_pool: the threads that wait for those hashes, so that no other call waits behind them.
        on_unavailable: hears of what the database refuses.
    """

    def __init__(
        self,
        slow_methods: frozenset[str] = frozenset(),
        slow_pool: ThreadPoolExecutor | None = None,
        on_unavailable: OnUnavailable = nobody_hears,
    ) -> None:
        self._on_unavailable = on_unavailable
        self._slow_methods = slow_methods
        self._slow_pool = slow_pool
        self._wrapped: dict[str, Handler] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Handler | None"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the wrapped handler. Runs on grpc's one serving thread, so it only looks up."""
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = continuation(handler_call_details)
            if handler is None or method.split("/")[1] in EXEMPT_SERVICES:
                return handler
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        is_stream = handler.response_streaming
        make = grpc.unary_stream_rpc_method_handler if is_stream else grpc.unary_unary_rpc_method_handler
        call = _guarded(method, handler, self._on_unavailable)
        if method in self._slow_methods and self._slow_pool:
            call.experimental_thread_pool = self._slow_pool  # type: ignore[attr-defined]  # grpc reads it from here
        return make(call, _forgiving(handler.request_deserializer), handler.response_serializer)


def _guarded(method: str, handler: Handler, on_unavailable: OnUnavailable) -> Behavior:
    behavior: Any = handler.unary_stream if handler.response_streaming else handler.unary_unary

    # A stream gets a third argument and returns at once; see `experimental_non_blocking`.
    def call(request: Any, context: grpc.ServicerContext, *send: Any) -> Any:
        try:
            if isinstance(request, _Unparsable):
                raise unparsable()
            return behavior(request, context, *send)
        except AuthError as error:
            if isinstance(error, StorageUnavailable):
                on_unavailable(error)
            error.forget_frames()
            status = status_of(error)
        except Exception:
            status = unforeseen(method)
        return abort(context, status)

    call.experimental_non_blocking = handler.response_streaming  # type: ignore[attr-defined]  # grpc reads it from here
    return call


def unforeseen(method: str) -> Status:
    """Return the status for an exception that is no condition of the domain, and log the exception at hand."""
    request_id = secrets.token_hex(8)
    log.exception("unforeseen", method=method, request_id=request_id)
    return internal_status(request_id)


def unparsable() -> InvalidInput:
    """Return the condition for bytes that are no message."""
    return InvalidInput(Violation("", "the bytes are not the request message of this method"))


def _forgiving(deserializer: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    def deserialize(data: bytes) -> Any:
        try:
            return deserializer(data) if deserializer else data
        except Exception:
            return _Unparsable()

    return deserialize
