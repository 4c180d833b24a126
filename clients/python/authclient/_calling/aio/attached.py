"""Putting a session's token on the calls of an asyncio channel."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import grpc
from authapi.v1 import stream_service_pb2 as api
from authapi.v1 import stream_service_pb2_grpc as rpc

from authclient._calling.held_tokens import CALL_SECONDS, NO_TOKEN, refuses_token
from authclient._calling.renewal import Counter, Renewal, tell_failure
from authclient._wire.metadata import STREAM_ENTRY, bearer, has_authorization, new_stream_name


class TokenSource(Protocol):
    """Where the tokens come from. Session is one; see there."""

    async def access_token(self) -> str: ...
    async def replace(self, refused: str) -> str: ...


def attach(
    make: Callable[[list[grpc.aio.ClientInterceptor]], grpc.aio.Channel],
    source: TokenSource,
    counter: Counter | None = None,
) -> grpc.aio.Channel:
    """Return the channel that is made with these interceptors, with a token on every call.

    `counter` hears of renewals that have failed.
    """
    attached = [kind(source, counter) for kind in (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)]
    channel = make(list(attached))
    streams: Any = rpc.StreamServiceStub(channel)
    for interceptor in attached:
        interceptor.streams = streams
    return channel


class _Attached:
    def __init__(self, source: TokenSource, counter: Counter | None) -> None:
        self.source = source
        self.counter = counter
        self.streams: Any = None

    async def open(self, continuation: Callable[..., Any], details: Any, request: Any, token: str) -> Any:
        """Open a stream that is renewed for as long as it lasts."""
        name = new_stream_name()
        call = await continuation(_with(details, bearer(token), (STREAM_ENTRY, name)), request)
        renewing = asyncio.get_running_loop().create_task(self._renew(Renewal(name, token)))
        call.add_done_callback(lambda _: renewing.cancel())
        return call

    async def _renew(self, stream: Renewal) -> None:
        while True:
            await asyncio.sleep(stream.pause)
            # The stream ends by itself if this fails for good.
            try:
                token = await self.source.access_token()
                if stream.is_due(token):
                    stream.settle(token, await self._present(stream.name, token))
            except (*NO_TOKEN, RuntimeError):
                pass
            except Exception:  # Of what stands around the channel, perhaps.
                tell_failure(self.counter)

    async def _present(self, name: str, token: str) -> grpc.RpcError | None:
        """Renew a stream. Returns why that failed, or None."""
        request = api.RenewStreamRequest(stream_id=name)
        try:
            await self.streams.RenewStream(request, metadata=(bearer(token),), timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            return error
        return None

    async def replacement(self, refused: str) -> str | None:
        """Return another token, or None if there is none: then the refusal stands."""
        try:
            return await self.source.replace(refused)
        except NO_TOKEN:
            return None


class _UnaryUnary(_Attached, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        if has_authorization(details.metadata):
            return await continuation(details, request)
        token = await self.source.access_token()
        call = await continuation(_with(details, bearer(token)), request)
        try:
            is_refused = refuses_token(await call.code(), await call.trailing_metadata())
        except asyncio.CancelledError:
            call.cancel()  # Waiting for its code is not what keeps a call going.
            raise
        if not is_refused:
            return call
        fresh = await self.replacement(token)
        return await continuation(_with(details, bearer(fresh)), request) if fresh else call


class _UnaryStream(_Attached, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        if has_authorization(details.metadata):
            return await continuation(details, request)
        token = await self.source.access_token()
        call = await self.open(continuation, details, request, token)
        return _Answers(call, lambda: self._again(continuation, details, request, token))

    async def _again(self, continuation: Callable[..., Any], details: Any, request: Any, refused: str) -> Any:
        """Open a stream with another token, or return None if there is none."""
        fresh = await self.replacement(refused)
        return await self.open(continuation, details, request, fresh) if fresh else None


class _Answers:
    """The answers of a stream, which is opened once more if its token is refused before the first of them."""

    def __init__(self, call: Any, again: Callable[[], Awaitable[Any]]) -> None:
        self._call = call
        self._again = again

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    async def __aiter__(self) -> AsyncIterator[Any]:
        may_retry = True
        try:
            async for answer in self._call:
                may_retry = False
                yield answer
        except grpc.RpcError as error:
            is_refused = may_retry and refuses_token(error.code(), error.trailing_metadata())
            call = await self._again() if is_refused else None
            if call is None:
                raise
            self._call = call
            async for answer in call:
                yield answer


grpc.aio.UnaryStreamCall.register(_Answers)


class _StreamUnary(_Attached, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        if has_authorization(details.metadata):
            return await continuation(details, requests)
        return await self.open(continuation, details, requests, await self.source.access_token())


class _StreamStream(_Attached, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        if has_authorization(details.metadata):
            return await continuation(details, requests)
        return await self.open(continuation, details, requests, await self.source.access_token())


def _with(details: Any, *entries: tuple[str, str]) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()), *entries)
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=details.timeout,
        metadata=metadata,
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )
