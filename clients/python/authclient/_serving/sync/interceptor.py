"""The interceptor for synchronous servers."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, cast

import grpc
from authapi.v1 import stream_service_pb2 as stream_api

from authclient._judging.rules import Rule
from authclient._serving import callers
from authclient._serving.contexts import filtered
from authclient._serving.gate import abort
from authclient._serving.interception import Handler, Interception
from authclient._serving.leases import Lease
from authclient._wire.metadata import stream_name
from authclient._wire.refusals import Refused

Send: TypeAlias = Callable[[Any], None]


class AuthInterceptor(Interception, grpc.ServerInterceptor):
    """Lets the calls of a `grpc.server` through, or refuses them, as the rules in the .proto files say.

    A method without a usable rule is refused to everybody. Health and reflection are let through.

    Args:
        trust: what this process knows about tokens.
        files: descriptors of the .proto files of the server's services, such as `orders_pb2.DESCRIPTOR`.
    """

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Handler | None"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the guarded handler. Runs on grpc's one serving thread, so it only looks up."""
        method = handler_call_details.method
        return self._own(method) or self._guarded(method, continuation(handler_call_details))

    def _wrap(self, method: str, handler: Handler) -> Handler:
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
            call = self._streaming(method, rule, _driver(handler), is_request_streaming=bool(handler.request_streaming))
        vars(call).update(getattr(behavior, "__dict__", {}))
        call.experimental_non_blocking = True  # type: ignore[attr-defined]  # grpc reads it from here
        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        return make(call, handler.request_deserializer, handler.response_serializer)

    def _streaming(self, method: str, rule: Rule, drive: "Driver", *, is_request_streaming: bool) -> Callable[..., Any]:
        def call(request: Any, context: grpc.ServicerContext, send: Send) -> None:
            verified = self._gate.admit(method, rule, context)
            name = stream_name(context.invocation_metadata())
            stream = _Stream(context, send)
            context = cast(grpc.ServicerContext, _StreamContext(filtered(context), stream))
            requests = _requests(request, stream) if is_request_streaming else request
            if verified is not None:
                callers.remember(context, verified.caller)
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


Driver: TypeAlias = "Callable[[Any, grpc.ServicerContext, _Stream], None]"
"""Runs a service's handler: request or requests, context, and where the answers go."""


class StreamRefused(grpc.RpcError):
    """The stream of a handler was refused while the handler was at work. Whatever it does now reaches nobody."""


class _Stream:
    """An open stream. Whoever finishes it first, the handler or the interceptor, has the last word."""

    def __init__(self, context: grpc.ServicerContext, send: Send) -> None:
        self.context = context
        self.lock = threading.RLock()
        self.refused: Refused | None = None
        self._send = send
        self._is_finished = False

    def send(self, answer: Any) -> bool:
        """Send an answer. Tells whether more can be sent."""
        self._send(answer)
        return self.context.is_active()

    def finish(self) -> None:
        """Say that there are no more answers."""
        with self.lock:
            # Not active: an answer could not be written, and grpc has ended the call.
            if not self._is_finished and self.context.is_active():
                self._send(None)
            self._is_finished = True

    def refuse(self, refused: Refused) -> None:
        """Finish with a refusal, whatever the handler is doing."""
        code, details, trailing_metadata = refused.code, refused.details, refused.trailing_metadata
        with self.lock:
            if not self._is_finished and self.context.is_active():
                self.refused = refused
                self.context.set_code(code)
                self.context.set_details(details)
                self.context.set_trailing_metadata(trailing_metadata)
                self._send(None)
            self._is_finished = True

    def run(self, work: Callable[[], None]) -> None:
        """Run the handler. What it raises after the stream was refused concerns nobody."""
        try:
            work()
        except BaseException:
            with self.lock:
                if self.refused is None:
                    self._is_finished = True
                    raise


class _StreamContext:
    """The context of a handler whose stream may be refused meanwhile. Then it has no say any more in how that ends."""

    def __init__(self, context: grpc.ServicerContext, stream: _Stream) -> None:
        self._context = context
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._context, name)
        return self._while_open(found) if name in _ENDINGS else found

    def _while_open(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **named: Any) -> Any:
            with self._stream.lock:
                if self._stream.refused:
                    raise StreamRefused(self._stream.refused.reason)
                return call(*arguments, **named)

        return guarded


_ENDINGS = frozenset({"abort", "abort_with_status", "set_code", "set_details", "set_trailing_metadata"})
grpc.ServicerContext.register(_StreamContext)


def _requests(requests: Iterator[Any], stream: _Stream) -> Iterator[Any]:
    """Yield the requests. Ends by StreamRefused and not as if the caller were done, where the stream was refused."""
    yield from requests
    if stream.refused:
        raise StreamRefused(stream.refused.reason)


def _driver(handler: Handler) -> Driver:
    behavior: Any = handler.stream_stream or handler.stream_unary or handler.unary_stream
    if not handler.response_streaming:
        return _one_answer(behavior)
    return _self_driving(behavior) if getattr(behavior, "experimental_non_blocking", False) else _many_answers(behavior)


def _self_driving(behavior: Callable[..., Any]) -> Driver:
    def drive(request: Any, context: grpc.ServicerContext, stream: _Stream) -> None:
        behavior(request, context, lambda answer: stream.finish() if answer is None else stream.send(answer))

    return drive


def _one_answer(behavior: Callable[..., Any]) -> Driver:
    def drive(requests: Any, context: grpc.ServicerContext, stream: _Stream) -> None:
        answer = behavior(requests, context)
        if answer is None:
            context.abort(grpc.StatusCode.INTERNAL, "Failed to serialize response!")  # as grpc says
        stream.send(answer)
        stream.finish()

    return drive


def _many_answers(behavior: Callable[..., Any]) -> Driver:
    def drive(request: Any, context: grpc.ServicerContext, stream: _Stream) -> None:
        answers = behavior(request, context)
        # By `next` alone, as grpc does it: what a handler returns need not be iterable.
        while (answer := next(answers, None)) is not None and stream.send(answer):
            pass
        stream.finish()

    return drive
