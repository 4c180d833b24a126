"""Streams that are let in, and judged again for as long as they last: each shape of them, whoever calls it."""

from collections.abc import Callable
from typing import Any, cast

import grpc

from authclient._judging.guard import Guard
from authclient._judging.rules import Rule
from authclient._serving import callers
from authclient._serving.contexts import filtered
from authclient._serving.gate import Gate, abort
from authclient._serving.interception import Handler, behavior_of
from authclient._serving.leases import Lease, Leases
from authclient._serving.sync.apart import Apart, run_apart
from authclient._serving.sync.handlers import driver
from authclient._serving.sync.stream import Send, Stream, StreamContext, requests_while_open
from authclient._wire.metadata import stream_name
from authclient._wire.refusals import Refused


class Streams:
    """Guards the streams of one server."""

    def __init__(self, guard: Guard, gate: Gate, leases: Leases) -> None:
        self._guard = guard
        self._gate = gate
        self._leases = leases

    def of_grpc(self, method: str, rule: Rule, handler: Handler) -> Callable[..., Any]:
        """Return what grpc itself calls, with the function that sends: any thread finishes the stream with that."""
        drive = driver(handler)

        def call(request: Any, context: grpc.ServicerContext, send: Send) -> None:
            metadata = context.invocation_metadata()
            verified = self._gate.admit(method, rule, context, metadata)
            name = stream_name(metadata)
            stream = Stream(context, send)
            context = cast(grpc.ServicerContext, StreamContext(filtered(context, metadata), stream))
            requests = requests_while_open(request, stream) if handler.request_streaming else request
            if verified is not None:
                callers.remember(context, verified)
                lease = None if rule.observe else Lease(method, rule, verified, name, stream.refuse)
                # The context lives as long as this callback is kept, so nobody else gets its place meanwhile.
                if not stream.context.add_callback(lambda: self._end(context, lease)):
                    self._end(context, lease)
                    return
                if lease and self._open(lease, context):
                    return
            stream.run(lambda: drive(requests, context, stream))

        return call

    def of_others(self, method: str, rule: Rule, handler: Handler) -> Callable[..., Any]:
        """Return what another interceptor calls, as it would call the handler itself."""
        behavior = behavior_of(handler)

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            metadata = context.invocation_metadata()
            verified = self._gate.admit(method, rule, context, metadata)
            seen = filtered(context, metadata)
            if verified is None:
                return behavior(request, seen)
            apart = None if rule.observe else self._begin_apart(method, rule, context)
            callers.remember(seen, verified)
            lease = Lease(method, rule, verified, stream_name(metadata), apart.refuse) if apart else None
            is_open = context.add_callback(lambda: self._end(seen, lease))
            if not is_open:
                self._end(seen, lease)
            if apart is None or lease is None:
                return behavior(request, seen)
            with apart.closed_by_errors():
                if not is_open:
                    context.abort(grpc.StatusCode.CANCELLED, "The caller has left.")
                if refused := self._open(lease, context):
                    abort(context, refused)
                return run_apart(handler, request, seen, apart)

        return call

    def _begin_apart(self, method: str, rule: Rule, context: grpc.ServicerContext) -> Apart:
        """Return a thread for a handler. Aborts the call if there is none: its stream could not be ended."""
        try:
            return Apart(context)
        except RuntimeError as error:
            abort(context, self._guard.refuse(method, rule, error) or Refused("VERIFICATION_UNAVAILABLE"))

    def _open(self, lease: Lease, context: grpc.ServicerContext) -> Refused | None:
        """Open a lease. Returns how the stream was refused meanwhile, if it was. Aborts the call if it is to be."""
        try:
            return self._leases.open(lease)
        except Exception as error:
            if refused := self._guard.refuse(lease.method, lease.rule, error):
                abort(context, refused)
            return None

    def _end(self, context: grpc.ServicerContext, lease: Lease | None) -> None:
        callers.forget(context)
        if lease:
            self._leases.close(lease)


def finished_by_any_thread(handler: Handler, call: Callable[..., Any]) -> Handler:
    """Return a handler that grpc gives the function that sends.

    It does so only where answers stream. So each shape is served as one that streams answers, which is the same on the
    wire.
    """
    call.experimental_non_blocking = True  # type: ignore[attr-defined]  # grpc reads it from here
    make = grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
    return make(call, handler.request_deserializer, handler.response_serializer)
