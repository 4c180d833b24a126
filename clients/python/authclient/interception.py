"""What the interceptors for synchronous and asyncio servers share: what they hold, and how a method is looked up."""

import abc
from typing import Any, TypeAlias

import grpc
from authapi.v1 import stream_service_pb2 as api
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import DecodeError

from authclient.gate import Gate
from authclient.guard import RENEW_METHOD, Authority, Guard
from authclient.observer import log
from authclient.rules import Policy
from authclient.streams import Leases

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Interception(abc.ABC):
    """Wraps each handler once, on its first call, in what its rule asks for."""

    def __init__(self, trust: Authority, *files: FileDescriptor) -> None:
        policy = Policy(*files)
        for method, why in policy.rejected.items():
            log.warning("%s is refused to everybody: %s", method, why)
        self._guard = Guard(policy, trust)
        self._gate = Gate(self._guard)
        self._leases = Leases(self._guard, trust.monotonic)
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}
        self._renewal = grpc.unary_unary_rpc_method_handler(
            self._renew,
            request_deserializer=_renewal_request,
            response_serializer=api.RenewStreamResponse.SerializeToString,
        )

    def _own(self, method: str) -> "Handler | None":
        """Return the handler of a method that the interceptor serves itself."""
        return self._renewal if method == RENEW_METHOD else None

    def _guarded(self, method: str, handler: "Handler | None") -> "Handler | None":
        """Return what is served instead of a service's own handler."""
        if handler is None:
            return None
        known = self._wrapped.get(method)
        if known is None or known[0] is not handler:
            wrapped = handler if self._guard.is_exempt(method) else self._wrap(method, handler)
            known = self._wrapped[method] = handler, wrapped
        return known[1]

    @abc.abstractmethod
    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Return a handler that calls the other one if the rule of the method lets it."""

    @abc.abstractmethod
    def _renew(self, request: api.RenewStreamRequest, context: Any) -> Any:
        """Serve StreamService.RenewStream."""


def _renewal_request(data: bytes) -> api.RenewStreamRequest:
    """Return the request, or one that names no stream for bytes that are none: grpc alone would say INTERNAL."""
    try:
        return api.RenewStreamRequest.FromString(data)
    except DecodeError:
        return api.RenewStreamRequest()
