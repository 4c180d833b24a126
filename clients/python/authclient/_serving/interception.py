"""What the interceptors for synchronous and asyncio servers share: what they hold, and how a method is looked up."""

import abc
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias, cast

import grpc
from authapi.v1 import stream_service_pb2 as api
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import DecodeError

from authclient._judging.authority import Authority
from authclient._judging.guard import Call, Guard, Steps
from authclient._judging.observer import log
from authclient._judging.rules import Policy, Rule
from authclient._judging.verified import Ask
from authclient._serving.gate import Gate
from authclient._serving.leases import Leases

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

RENEW_METHOD = "/authapi.v1.StreamService/RenewStream"
RENEW_RULE = Rule()
"""Anyone with a good token; which stream it may renew is decided by that stream's own rule."""

OTHER_METHODS = "/*"
"""The name that the observer hears for methods of no file, once there have been many different ones."""
MOST_OTHER_METHODS = 256
"""A server that answers every path can be called by more paths than its memory, or its metrics, has room for."""


class Interception(abc.ABC):
    """Wraps each handler once, on its first call, in what its rule asks for."""

    def __init__(self, trust: Authority, *files: FileDescriptor) -> None:
        if not hasattr(trust, "judge"):
            raise TypeError(f'{trust!r} is no Trust; give Trust("127.0.0.1:50051", audience="internal")')
        policy = Policy(*files)
        for method in policy.rejected:
            _warn_of(method, policy)
        self._policy = policy
        self._guard = Guard(policy, trust)
        self._gate = Gate(self._guard)
        self._leases = Leases(self._guard)
        self._wrapped: dict[tuple[str, bool], tuple[Handler, Handler]] = {}
        self._others: dict[bool, Handler] = {}
        self._described = policy.rules.keys() | policy.rejected.keys()
        self._renewal = grpc.unary_unary_rpc_method_handler(
            self._renew,
            request_deserializer=_renewal_request,
            response_serializer=api.RenewStreamResponse.SerializeToString,
        )

    def _guarded(self, method: str, handler: "Handler | None", *, is_first: bool = False) -> "Handler | None":
        """Return what is served instead of a service's own handler.

        Args:
            is_first: whether grpc itself calls that, and no other interceptor.
        """
        known = self._wrapped.get((method, is_first))
        if known is not None and known[0] is handler:
            return known[1]
        if handler is None:
            return None
        if self._guard.is_exempt(method):
            return self._exempt(method, handler, is_first=is_first)
        if known is None and method not in self._described:
            if self._is_full():
                return self._refusal_of_others(is_first=is_first)
            _warn_of(method, self._policy)
        wrapped = self._wrap(method, handler, is_first=is_first)
        self._wrapped[method, is_first] = handler, wrapped
        return wrapped

    def _is_full(self) -> bool:
        return len(self._wrapped) >= len(self._described) + MOST_OTHER_METHODS

    def _refusal_of_others(self, *, is_first: bool) -> Handler:
        if is_first not in self._others:
            # As one that streams it is the same on the wire for all four kinds, and reads nothing before it refuses.
            streaming: Handler = grpc.stream_stream_rpc_method_handler(_never)
            self._others[is_first] = self._wrap(OTHER_METHODS, streaming, is_first=is_first)
        return self._others[is_first]

    def _exempt(self, method: str, handler: Handler, *, is_first: bool) -> Handler:
        """Return what is served for a method that anyone may call."""
        return handler

    @abc.abstractmethod
    def _wrap(self, method: str, handler: Handler, *, is_first: bool) -> Handler:
        """Return a handler that calls the other one if the rule of the method lets it."""

    @abc.abstractmethod
    def _renew(self, request: api.RenewStreamRequest, context: Any) -> Any:
        """Serve StreamService.RenewStream."""

    def _renewing(self, request: api.RenewStreamRequest, call: Call) -> Steps[api.RenewStreamResponse]:
        """Let a stream go on with the token of this call. Raises Refused."""
        try:
            found = self._guard.start(RENEW_RULE, call.invocation_metadata() or ())
            verified = (yield from self._guard.settlement(RENEW_RULE, found, call)) if isinstance(found, Ask) else found
            expires_at = self._leases.renew(request.stream_id, verified, asked=isinstance(found, Ask))
        except Exception as error:
            refused = self._guard.refuse(RENEW_METHOD, None, error)
            assert refused is not None
            raise refused from None
        answer = api.RenewStreamResponse()
        answer.expire_time.FromDatetime(expires_at)
        return answer


def behavior_of(handler: Handler) -> Any:
    """Return the function of a handler."""
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


def like(handler: Handler, behavior: Callable[..., Any]) -> Handler:
    """Return a handler of the same shape with another function."""
    make = _MAKERS[bool(handler.request_streaming), bool(handler.response_streaming)]
    return cast(Handler, make(behavior, handler.request_deserializer, handler.response_serializer))


_MAKERS: dict[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _warn_of(method: str, policy: Policy) -> None:
    log.warning("%s is refused to everybody: %s", method, policy.fault(method))


def _never(*_: object) -> NoReturn:
    raise AssertionError("a method without a rule was called")


def _renewal_request(data: bytes) -> api.RenewStreamRequest:
    """Return the request, or one that names no stream for bytes that are none: grpc alone would say INTERNAL."""
    try:
        return api.RenewStreamRequest.FromString(data)
    except DecodeError:
        return api.RenewStreamRequest()
