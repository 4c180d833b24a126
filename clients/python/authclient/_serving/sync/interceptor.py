"""The interceptor for synchronous servers."""

import abc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import grpc
from authapi.v1 import stream_service_pb2 as stream_api
from google.protobuf.descriptor import FileDescriptor

from authclient._judging.authority import Authority
from authclient._judging.rules import Rule
from authclient._serving import callers
from authclient._serving.contexts import filtered
from authclient._serving.gate import abort
from authclient._serving.interception import RENEW_METHOD, Handler, Interception
from authclient._serving.leases import Lease
from authclient._serving.sync.handlers import Driver, driver
from authclient._serving.sync.patience import REQUEST_SECONDS, Patience
from authclient._serving.sync.stream import Send, Stream, StreamContext, requests_while_open
from authclient._serving.sync.waiting_room import WaitingRoom
from authclient._wire.metadata import stream_name
from authclient._wire.refusals import Refused
from authclient._wire.times import number


class AuthInterceptor(Interception, grpc.ServerInterceptor):
    """Lets the calls of a `grpc.server` through, or refuses them, as the rules in the .proto files say.

    A method without a usable rule is refused to everybody. Health and reflection are let through.

    Args:
        trust: what this process knows about tokens.
        files: descriptors of the .proto files of the server's services, such as `orders_pb2.DESCRIPTOR`.
        pool: the pool that `grpc.server` is given too. With it, no call holds a thread of the pool before its request
            is there. The interceptor is to be the first of the list then: to others, each call streams.
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
        self._patience = Patience(seconds, pool) if pool and seconds else None
        self._exempted: dict[str, tuple[Handler, Handler]] = {}
        # In threads of its own: open streams may hold every thread of the server, and could not be renewed in one.
        self._renewals = Patience(seconds, None) if self._patience else WaitingRoom()
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
        method = handler_call_details.method
        if method == RENEW_METHOD:
            return self._renewal
        return self._guarded(method, continuation(handler_call_details))

    def _exempt(self, method: str, handler: Handler) -> Handler:
        known = self._exempted.get(method)
        if known is None or known[0] is not handler:
            known = self._exempted[method] = handler, self._patiently(method, handler)
        return known[1]

    def _wrap(self, method: str, handler: Handler) -> Handler:
        return self._patiently(method, self._guarding(method, handler))

    def _patiently(self, method: str, handler: Handler) -> Handler:
        return self._patience.serve(method, handler) if self._patience else handler

    def _guarding(self, method: str, handler: Handler) -> Handler:
        rule = self._guard.rule(method)
        if handler.request_streaming or handler.response_streaming:
            return self._stream(method, rule, handler)
        behavior: Any = handler.unary_unary
        call = self._refusal(method) if rule is None else self._gate.unary(method, rule, behavior)
        vars(call).update(getattr(behavior, "__dict__", {}))  # Such as the pool that grpc is to run it in.
        return grpc.unary_unary_rpc_method_handler(call, handler.request_deserializer, handler.response_serializer)

    def _refusal(self, method: str) -> Callable[..., Any]:
        def refuse(_request: Any, context: grpc.ServicerContext, *_: Any) -> Any:
            error = self._guard.refuse(method, None, Refused("METHOD_WITHOUT_RULE"))
            assert error is not None
            abort(context, error)

        return refuse

    def _stream(self, method: str, rule: Rule | None, handler: Handler) -> Handler:
        """Return a handler whose stream can be ended while the service's own handler waits for something.

        grpc lets another thread finish a stream only where the handler is given the function that sends. So each shape
        is served as one that streams answers, which is the same on the wire.
        """
        behavior = handler.stream_stream or handler.stream_unary or handler.unary_stream
        if rule is None:
            call = self._refusal(method)
        else:
            call = self._streaming(method, rule, driver(handler), is_request_streaming=bool(handler.request_streaming))
        vars(call).update(getattr(behavior, "__dict__", {}))
        call.experimental_non_blocking = True  # type: ignore[attr-defined]  # grpc reads it from here
        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        return make(call, handler.request_deserializer, handler.response_serializer)

    def _streaming(self, method: str, rule: Rule, drive: Driver, *, is_request_streaming: bool) -> Callable[..., Any]:
        def call(request: Any, context: grpc.ServicerContext, send: Send) -> None:
            metadata = context.invocation_metadata()
            verified = self._gate.admit(method, rule, context, metadata)
            name = stream_name(metadata)
            stream = Stream(context, send)
            context = cast(grpc.ServicerContext, StreamContext(filtered(context, metadata), stream))
            requests = requests_while_open(request, stream) if is_request_streaming else request
            if verified is not None:
                callers.remember(context, verified)
                lease = None if rule.observe else Lease(method, rule, verified, name, stream.refuse)
                # The context lives as long as this callback is kept, so nobody else gets its place meanwhile.
                if not stream.context.add_callback(lambda: self._end(context, lease)):
                    self._end(context, lease)
                    return
                if lease and not self._open(lease, context):
                    return
            stream.run(lambda: drive(requests, context, stream))

        return call

    def _open(self, lease: Lease, context: grpc.ServicerContext) -> bool:
        """Open a lease. Tells whether the stream may begin; it may not if it was refused meanwhile."""
        try:
            return self._leases.open(lease) is None
        except Exception as error:
            if refused := self._guard.refuse(lease.method, lease.rule, error):
                abort(context, refused)
            return True

    def _end(self, context: grpc.ServicerContext, lease: Lease | None) -> None:
        callers.forget(context)
        if lease:
            self._leases.close(lease)

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
