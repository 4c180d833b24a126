"""The interceptor for synchronous servers."""

import abc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from authapi.v1 import stream_service_pb2 as stream_api
from google.protobuf.descriptor import FileDescriptor

from authclient._judging.authority import Authority
from authclient._judging.observer import log
from authclient._serving.gate import abort
from authclient._serving.interception import RENEW_METHOD, Handler, Interception, behavior_of, like
from authclient._serving.sync.guarded_streams import Streams, finished_by_any_thread
from authclient._serving.sync.patience import REQUEST_SECONDS, Patience
from authclient._serving.sync.position import is_first
from authclient._serving.sync.waiting_room import WaitingRoom
from authclient._wire.refusals import Refused
from authclient._wire.times import number


class AuthInterceptor(Interception, grpc.ServerInterceptor):
    """Lets the calls of a `grpc.server` through, or refuses them, as the rules in the .proto files say.

    A method without a usable rule is refused to everybody. Health and reflection are let through.

    Args:
        trust: what this process knows about tokens.
        files: descriptors of the .proto files of the server's services, such as `orders_pb2.DESCRIPTOR`.
        pool: the pool that `grpc.server` is given too. With it, no call holds a thread of the pool before its request
            is there. That takes the first place in the server's list: behind an interceptor that wraps handlers, grpc
            has read the request before anything gets here, in the pool, and a warning says so.
        request_patience: seconds that a request may take to come, where `pool` is given. None or 0 leaves it to grpc.

    Raises:
        ValueError: no file is given, or the patience is negative.
        TypeError: something is of another type; the text says what to write.
    """

    def __init__(
        self,
        trust: Authority,
        *files: FileDescriptor,
        pool: ThreadPoolExecutor | None = None,
        request_patience: float | None = REQUEST_SECONDS,
    ) -> None:
        super().__init__(trust, *files)
        if pool is not None and not hasattr(pool, "submit"):
            raise TypeError(f"pool is {pool!r}; give the ThreadPoolExecutor that grpc.server is given")
        seconds = number("request_patience", request_patience or 0)
        self._streams = Streams(self._guard, self._gate, self._leases)
        self._patience = Patience(seconds, pool) if pool and seconds else None
        self._exempted: dict[tuple[str, bool], tuple[Handler, Handler]] = {}
        self._has_warned = False
        # In threads of its own: open streams may hold every thread of the server, and could not be renewed in one.
        self._renewals = Patience(seconds, None) if self._patience else WaitingRoom()
        self._renewal_behind = self._renewal
        self._renewal = (
            self._renewals.serve(RENEW_METHOD, self._renewal)
            if isinstance(self._renewals, Patience)
            else _apart(self._renewal, self._renewals)
        )

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Handler | None"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the guarded handler. Runs on grpc's one serving thread, so it only looks up."""
        method, first = handler_call_details.method, is_first()
        if method == RENEW_METHOD:
            return self._renewal if first else self._renewal_behind
        return self._guarded(method, continuation(handler_call_details), is_first=first)

    def _exempt(self, method: str, handler: Handler, *, is_first: bool) -> Handler:
        known = self._exempted.get((method, is_first))
        if known is None or known[0] is not handler:
            served = self._patiently(method, handler, is_first=is_first)
            known = self._exempted[method, is_first] = handler, served
        return known[1]

    def _wrap(self, method: str, handler: Handler, *, is_first: bool) -> Handler:
        return self._patiently(method, self._guarding(method, handler, is_first=is_first), is_first=is_first)

    def _patiently(self, method: str, handler: Handler, *, is_first: bool) -> Handler:
        if self._patience is None:
            return handler
        if is_first:
            return self._patience.serve(method, handler)
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "AuthInterceptor has a pool and stands behind another interceptor, so grpc waits for requests in that "
                "pool. Put it first in interceptors=[...], and callers who send no request hold none of its threads"
            )
        return handler

    def _guarding(self, method: str, handler: Handler, *, is_first: bool) -> Handler:
        rule, behavior = self._guard.rule(method), behavior_of(handler)
        is_stream = handler.request_streaming or handler.response_streaming
        # A handler that sends by itself is called with the function for that by whoever stands before, or by nobody.
        is_given_send = is_stream and (is_first or getattr(behavior, "experimental_non_blocking", False))
        if rule is None:
            call = self._refusal(method)
        elif not is_stream:
            call = self._gate.unary(method, rule, behavior)
        elif is_given_send:
            call = self._streams.of_grpc(method, rule, handler)
        else:
            call = self._streams.of_others(method, rule, handler)
        vars(call).update(getattr(behavior, "__dict__", {}))  # Such as the pool that grpc is to run it in.
        return finished_by_any_thread(handler, call) if is_given_send else like(handler, call)

    def _refusal(self, method: str) -> Callable[..., Any]:
        def refuse(_request: Any, context: grpc.ServicerContext, *_: Any) -> Any:
            error = self._guard.refuse(method, None, Refused("METHOD_WITHOUT_RULE"))
            assert error is not None
            abort(context, error)

        return refuse

    def _renew(
        self, request: stream_api.RenewStreamRequest, context: grpc.ServicerContext
    ) -> stream_api.RenewStreamResponse:
        """Serve StreamService.RenewStream."""
        return self._gate.do(self._renewing(request, context), context)


class _OnAsyncioServer(abc.ABC):  # noqa: B024  # it is there to be asked, not to be filled in
    """Says what is wrong where `grpc.aio.server` asks whether this interceptor is one of its kind.

    It refuses what is not with a ValueError, whose text names nothing (`{invalid_interceptors}`, grpcio 1.71 to 1.85).
    """

    @classmethod
    def __subclasshook__(cls, kind: type) -> Any:
        if issubclass(kind, AuthInterceptor):
            raise ValueError(
                "authclient.AuthInterceptor is for grpc.server; grpc.aio.server takes authclient.aio.AuthInterceptor"
            )
        return NotImplemented


grpc.aio.ServerInterceptor.register(_OnAsyncioServer)


def _apart(handler: Handler, room: WaitingRoom) -> Handler:
    """Return a handler of the same shape, as interceptors before ours expect one, that grpc runs in other threads."""
    behavior: Any = handler.unary_unary

    def call(request: Any, context: grpc.ServicerContext) -> Any:
        return behavior(request, context)

    call.experimental_thread_pool = room  # type: ignore[attr-defined]  # grpc reads it from here
    return grpc.unary_unary_rpc_method_handler(call, handler.request_deserializer, handler.response_serializer)
