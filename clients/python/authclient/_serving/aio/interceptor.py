"""The interceptor for asyncio servers, with asyncio handlers and with synchronous ones."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias, cast

import grpc
from authapi.v1 import stream_service_pb2 as stream_api
from google.protobuf.descriptor import FileDescriptor

from authclient._judging.authority import AsyncAuthority
from authclient._judging.guard import AwaitView, Result, Step, Steps
from authclient._judging.rules import Rule
from authclient._judging.verified import Ask, Verified
from authclient._serving import callers
from authclient._serving.aio.handlers import Driver, driver, known
from authclient._serving.aio.stream import Context, Stream, StreamContext, abort
from authclient._serving.contexts import WithMetadata, filtered
from authclient._serving.interception import RENEW_METHOD, Handler, Interception, behavior_of, like
from authclient._serving.leases import Lease
from authclient._waiting.steps import in_task
from authclient._wire.metadata import stream_name
from authclient._wire.refusals import Refused

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


class AuthInterceptor(Interception, grpc.aio.ServerInterceptor):
    """Lets the calls of a `grpc.aio.server` through, or refuses them. See authclient.AuthInterceptor.

    Synchronous handlers that stream are run in a thread of their own each, not in the `migration_thread_pool`.
    """

    def __init__(self, trust: AsyncAuthority, *files: FileDescriptor) -> None:
        super().__init__(trust, *files)
        self._trust = trust

    def intercept_service(  # type: ignore[override]  # an awaitable will do
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Awaitable["Handler | None"]:
        """Return the guarded handler, to be awaited. Raises TypeError on a server that does not await it."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise TypeError(
                "authclient.aio.AuthInterceptor is for grpc.aio.server; grpc.server takes authclient.AuthInterceptor"
            ) from None
        return self._intercept(continuation, handler_call_details)

    async def _intercept(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        method = handler_call_details.method
        if method == RENEW_METHOD:
            return self._renewal
        handler = self._guarded(method, await continuation(handler_call_details))
        if isinstance(handler, _PerCall):
            return handler.of_call(tuple(handler_call_details.invocation_metadata or ()))
        return handler

    def _wrap(self, method: str, handler: Handler, *, is_first: bool) -> Handler:
        # Of the shape that the service's own has, which is how interceptors before this one know what to do with it.
        rule = self._guard.rule(method)
        behavior = behavior_of(handler)
        if rule is None:
            call: Callable[..., Any] = self._refusal(method, is_generator=inspect.isasyncgenfunction(behavior))
        elif handler.unary_unary and not inspect.iscoroutinefunction(behavior):
            call = self._gate.unary(method, rule, behavior)
        elif handler.unary_unary:
            call = self._unary(method, rule, behavior)
        elif inspect.isasyncgenfunction(behavior):
            call = self._generator(method, rule, behavior)
        else:
            call = self._stream(method, rule, driver(handler, behavior))
        return cast(Handler, _PerCall(call, handler))

    def _refusal(self, method: str, *, is_generator: bool) -> Callable[..., Any]:
        async def refuse(_request: Any, context: Context) -> Any:
            error = self._guard.refuse(method, None, Refused("METHOD_WITHOUT_RULE"))
            assert error is not None
            await abort(context, error)

        async def refuse_first(request: Any, context: Context) -> AsyncIterator[Any]:
            yield await refuse(request, context)

        return refuse_first if is_generator else refuse

    def _unary(self, method: str, rule: Rule, behavior: Callable[..., Any]) -> Callable[..., Any]:
        drive = known(behavior)

        async def call(request: Any, context: Context) -> Any:
            metadata = context.invocation_metadata()
            verified = await self._admit(method, rule, context, metadata)
            return await drive(request, filtered(context, metadata), verified)

        return call

    def _stream(self, method: str, rule: Rule, drive: Driver) -> Callable[..., Any]:
        async def call(request: Any, context: Context) -> Any:
            async with self._let_in(method, rule, context) as (seen, _stream, verified):
                return await drive(request, seen, verified)

        return call

    def _generator(self, method: str, rule: Rule, behavior: Callable[..., AsyncGenerator[Any, None]]) -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            async with self._let_in(method, rule, context) as (seen, stream, verified):
                with callers.remembered(seen, verified if verified else None):
                    async with contextlib.aclosing(behavior(request, seen)) as answers:
                        async for answer in answers:
                            if not stream.is_open:
                                await stream.open(())
                            yield answer
                            stream.follow()

        return call

    @contextlib.asynccontextmanager
    async def _let_in(
        self, method: str, rule: Rule, context: Context
    ) -> AsyncIterator[tuple[StreamContext, Stream, Verified | None]]:
        """Yield what a handler sees of a stream that is let in, for as long as it lasts. Aborts a call that is not."""
        metadata = context.invocation_metadata()
        verified = await self._admit(method, rule, context, metadata)
        stream = Stream(context)
        lease = None
        try:
            if verified is not None and not rule.observe:
                lease = Lease(method, rule, verified, stream_name(metadata), stream.refuse)
                await self._open(lease, stream, context)
            yield StreamContext(filtered(context, metadata), stream), stream, verified
        finally:
            stream.is_finished = True
            if lease:
                self._leases.close(lease)

    async def _open(self, lease: Lease, stream: Stream, context: Context) -> None:
        """Open a lease. Aborts the call if its stream is to be refused, or was refused meanwhile."""
        refused = None
        try:
            refused = self._leases.open(lease)
        except Exception as error:
            refused = self._guard.refuse(lease.method, lease.rule, error)
        if refused:
            stream.is_finished = True
            await abort(context, refused)

    async def _admit(self, method: str, rule: Rule, context: Context, metadata: Metadata) -> Verified | None:
        """Return who is calling, or None where nobody has to say. Aborts the call if it is refused."""
        refused, found = None, None
        try:
            found = self._guard.admission(method, rule, metadata)
        except Refused as error:
            refused = error
        if refused:
            await abort(context, refused)
        if isinstance(found, Ask):
            return await self._do(self._guard.admission_after(method, rule, found, context), context)
        return found

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

    def __init__(self, serve: Callable[..., Any], handler: Handler) -> None:
        self._serve = serve
        if inspect.isasyncgenfunction(serve):
            self._make_call = _generator_of
        else:
            self._make_call = _coroutine_of if inspect.iscoroutinefunction(serve) else _function_of
        # A named tuple. Each call gets a copy with one other field, for which grpc's own function takes three times as
        # long.
        guarded: Any = like(handler, serve)
        position = guarded.index(serve)
        self._make: Callable[..., Handler] = guarded._make
        self._before, self._after = guarded[:position], guarded[position + 1 :]

    def of_call(self, metadata: Metadata) -> Handler:
        """Return the handler of one call."""
        return self._make((*self._before, self._make_call(self._serve, metadata), *self._after))


def _function_of(serve: Callable[..., Any], metadata: Metadata) -> Callable[..., Any]:
    return lambda request, context: serve(request, WithMetadata(context, metadata))


def _coroutine_of(serve: Callable[..., Any], metadata: Metadata) -> Callable[..., Any]:
    async def call(request: Any, context: Any) -> Any:
        return await serve(request, WithMetadata(context, metadata))

    return call


def _generator_of(serve: Callable[..., Any], metadata: Metadata) -> Callable[..., Any]:
    async def call(request: Any, context: Any) -> AsyncIterator[Any]:
        async with contextlib.aclosing(serve(request, WithMetadata(context, metadata))) as answers:
            async for answer in answers:
                yield answer

    return call
