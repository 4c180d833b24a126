"""The interceptor for asyncio servers, with asyncio handlers and with synchronous ones."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias, cast

import grpc
from authapi.v1 import stream_service_pb2 as stream_api
from google.protobuf.descriptor import FileDescriptor

from authclient._judging.authority import AsyncAuthority
from authclient._judging.guard import AwaitView, Result, Step, Steps
from authclient._judging.rules import Rule
from authclient._judging.verified import Verified
from authclient._serving import callers
from authclient._serving.aio.blocking import BlockingContext, blocking_iterator, in_thread, write_all
from authclient._serving.contexts import WithMetadata, filtered
from authclient._serving.interception import Handler, Interception
from authclient._serving.leases import Lease
from authclient._waiting.steps import in_task
from authclient._wire.metadata import stream_name
from authclient._wire.refusals import Refused

Context: TypeAlias = WithMetadata
Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]


class AuthInterceptor(Interception, grpc.aio.ServerInterceptor):
    """Lets the calls of a `grpc.aio.server` through, or refuses them. See authclient.AuthInterceptor.

    Synchronous handlers that stream are run in a thread of their own each, not in the `migration_thread_pool`.
    """

    def __init__(self, trust: AsyncAuthority, *files: FileDescriptor) -> None:
        super().__init__(trust, *files)
        self._trust = trust

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the guarded handler."""
        method = handler_call_details.method
        handler = self._own(method) or self._guarded(method, await continuation(handler_call_details))
        if isinstance(handler, _PerCall):
            return handler.of_call(tuple(handler_call_details.invocation_metadata or ()))
        return handler

    def _wrap(self, method: str, handler: Handler) -> Handler:
        rule = self._guard.rule(method)
        behavior: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        make = _MAKERS[handler.request_streaming, handler.response_streaming]
        if rule is None:
            call: Callable[..., Any] = self._refusal(method)
        elif handler.unary_unary and not inspect.iscoroutinefunction(behavior):
            call = self._gate.unary(method, rule, behavior)
        elif handler.unary_unary:
            call = self._unary(method, rule, behavior)
        else:
            call = self._stream(method, rule, _driver(handler, behavior))
        return cast(Handler, _PerCall(make, call, handler))

    def _refusal(self, method: str) -> Callable[..., Any]:
        async def refuse(_request: Any, context: Context) -> Any:
            error = self._guard.refuse(method, None, Refused("METHOD_WITHOUT_RULE"))
            assert error is not None
            await abort(context, error)

        return refuse

    def _unary(self, method: str, rule: Rule, behavior: Callable[..., Any]) -> Callable[..., Any]:
        drive = _known(behavior)

        async def call(request: Any, context: Context) -> Any:
            verified = await self._admit(method, rule, context)
            return await drive(request, filtered(context), verified)

        return call

    def _stream(self, method: str, rule: Rule, drive: "Driver") -> Callable[..., Any]:
        async def call(request: Any, context: Context) -> Any:
            verified = await self._admit(method, rule, context)
            stream = _Stream(context)
            lease = None
            try:
                if verified is not None and not rule.observe:
                    name = stream_name(context.invocation_metadata())
                    lease = Lease(method, rule, verified, name, stream.refuse)
                    await self._open(lease, stream, context)
                return await drive(request, _StreamContext(filtered(context), stream), verified)
            finally:
                stream.is_finished = True
                if lease:
                    self._leases.close(lease)

        return call

    async def _open(self, lease: Lease, stream: "_Stream", context: Context) -> None:
        """Open a lease. Aborts the call if its stream is to be refused, or was refused meanwhile."""
        refused = None
        try:
            refused = self._leases.open(lease)
        except Exception as error:
            refused = self._guard.refuse(lease.method, lease.rule, error)
        if refused:
            stream.is_finished = True
            await abort(context, refused)

    async def _admit(self, method: str, rule: Rule, context: Context) -> Verified | None:
        """Return who is calling, or None where nobody has to say. Aborts the call if it is refused."""
        return await self._do(self._guard.admission(method, rule, context), context)

    async def _renew(self, request: stream_api.RenewStreamRequest, context: Context) -> stream_api.RenewStreamResponse:
        """Serve StreamService.RenewStream."""
        return await self._do(self._renewing(request, context), context)

    async def _do(self, steps: Steps[Result], context: Context) -> Result:
        """Do the steps of a call. Aborts the call if they raise Refused."""
        refused = None
        try:
            done = await in_task(steps, self._wait)
        except Refused as error:
            refused = error
        if refused:
            await abort(context, refused)
        return done

    async def _wait(self, step: Step) -> object:
        if isinstance(step, AwaitView):
            return await step.ready.wait_async(step.seconds)
        return await self._trust.ask_async(step.question, step.seconds)


class _PerCall:
    """A guarded handler, of which each call gets one of its own that knows the call's metadata.

    They are taken over before anything waits. Once a caller has left, grpc frees the memory where the context of an
    asyncio server reads them, and a thread that still runs would be told those of other callers (grpcio 1.85).
    """

    def __init__(self, make: Callable[..., Handler], serve: Callable[..., Any], handler: Handler) -> None:
        self._make = make
        self._serve = serve
        self._codecs = handler.request_deserializer, handler.response_serializer
        self._is_blocking = not inspect.iscoroutinefunction(serve)

    def of_call(self, metadata: Metadata) -> Handler:
        """Return the handler of one call."""
        serve = self._serve

        if self._is_blocking:
            return self._make(lambda request, context: serve(request, WithMetadata(context, metadata)), *self._codecs)

        async def call(request: Any, context: Any) -> Any:
            return await serve(request, WithMetadata(context, metadata))

        return self._make(call, *self._codecs)


Driver: TypeAlias = Callable[[Any, Any, Verified | None], Awaitable[Any]]
"""Runs a service's handler: request or requests, context, and who is calling."""

_MAKERS: dict[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class _Stream:
    """An open stream, which any thread may end."""

    def __init__(self, context: Context) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.is_finished = False
        self._context = context
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._opening: asyncio.Task[None] | None = None
        self._refusing: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the initial metadata were sent, or are about to be."""
        return self._opening is not None

    async def open(self, metadata: Any) -> None:
        """Send the initial metadata."""
        # In a task of its own, which goes on if the handler is cancelled.
        self._opening = self._loop.create_task(self._context.send_initial_metadata(metadata))
        await asyncio.shield(self._opening)

    def refuse(self, refused: Refused) -> None:
        """End with a refusal, whatever the handler is doing, and whatever it makes of being cancelled."""
        with contextlib.suppress(RuntimeError):  # The loop is closed, and the stream with it.
            self._loop.call_soon_threadsafe(self._end, refused)

    def _end(self, refused: Refused) -> None:
        if self._opening and not self._opening.done():
            # Until they are known to be sent, grpc would send the initial metadata along with the status. Twice is an
            # error, after which the stream would neither go on nor end.
            self._opening.add_done_callback(lambda _: self._end(refused))
        elif not (self.is_finished or self._context.done()):
            self._refusing = self._loop.create_task(self._send(refused))
            self._task.cancel()

    async def _send(self, refused: Refused) -> None:
        # grpc raises AbortError for the handler to stop at, and others if the caller has left or the handler was first.
        with contextlib.suppress(Exception):
            await abort(self._context, refused)


class _StreamContext:
    """The context of a handler that streams. Before its first answer, it sends the initial metadata by themselves.

    They are not held back by a caller who reads nothing, as an answer is, and grpc alone sends both in one operation.
    """

    def __init__(self, context: Context, stream: _Stream) -> None:
        self._context = context
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def send_initial_metadata(self, metadata: Any) -> None:
        """Send the initial metadata."""
        await self._stream.open(metadata)

    async def write(self, answer: Any) -> None:
        """Send an answer."""
        if not self._stream.is_open:
            await self._stream.open(())
        await self._context.write(answer)


grpc.aio.ServicerContext.register(_StreamContext)


def _driver(handler: Handler, behavior: Callable[..., Any]) -> Driver:
    if inspect.isasyncgenfunction(behavior):
        return _known(_from_generator(behavior))
    if inspect.iscoroutinefunction(behavior):
        return _known(behavior)
    return _from_blocking(behavior, handler)


def _known(behavior: Callable[..., Awaitable[Any]]) -> Driver:
    async def drive(request: Any, context: Any, verified: Verified | None) -> Any:
        if verified is None:
            return await behavior(request, context)
        callers.remember(context, verified.caller)
        try:
            return await behavior(request, context)
        finally:
            callers.forget(context)

    return drive


def _from_generator(behavior: Callable[..., AsyncGenerator[Any, None]]) -> Callable[..., Awaitable[None]]:
    async def write_each(request: Any, context: Context) -> None:
        async with contextlib.aclosing(behavior(request, context)) as answers:
            async for answer in answers:
                await context.write(answer)

    return write_each


def _from_blocking(behavior: Callable[..., Any], handler: Handler) -> Driver:
    # Run here and not by grpc, which gives such a handler no way to be ended while it waits.
    async def drive(request: Any, context: Any, verified: Verified | None) -> Any:
        blocking = BlockingContext(context)
        requests = blocking_iterator(request, blocking) if handler.request_streaming else request

        def serve() -> Any:
            if verified is not None:
                callers.remember(blocking, verified.caller)
            try:
                result = behavior(requests, blocking)
                return write_all(iter(result), blocking, context.write) if handler.response_streaming else result
            finally:
                callers.forget(blocking)

        try:
            return await in_thread(serve)
        finally:
            blocking.end()

    return drive


async def abort(context: Context, refused: Refused) -> NoReturn:
    """End a call with a refusal."""
    await context.abort(refused.code, refused.details, refused.trailing_metadata)
    raise AssertionError("abort returned")
