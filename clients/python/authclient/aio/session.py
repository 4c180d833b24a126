"""A session of an asyncio caller. See authclient.Session."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from authapi.v1 import stream_service_pb2 as stream_api
from authapi.v1 import stream_service_pb2_grpc as stream_rpc

from authclient.guard import STREAM_ENTRY
from authclient.held_tokens import (
    ATTEMPTS,
    CALL_SECONDS,
    NO_SESSION,
    HeldTokens,
    LoginNeeded,
    bearer,
    has_authorization,
    login_needed,
    may_repeat,
    new_stream_name,
    pause,
)
from authclient.session import RENEWAL_SECONDS
from authclient.trust import CHANNEL_OPTIONS, PLAINTEXT_OPTIONS, require_loopback

_NO_TOKEN = (LoginNeeded, grpc.RpcError, grpc.aio.UsageError)
"""Why there is none: the session is over, the authentication service is away, or the connection to it is closed."""


class Session:
    """Keeps one login alive, for the tasks of one event loop. Everything else as authclient.Session."""

    def __init__(
        self,
        address: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = open_channel(address, credentials, insecure, ())
        self._auth: Any = rpc.AuthServiceStub(self._channel)
        self._monotonic = monotonic
        self._held: HeldTokens | None = None
        self._over = LoginNeeded(NO_SESSION)
        self._refresh: _Refresh | None = None

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection to the authentication service. The session itself lives on; `logout` ends it."""
        await self._channel.close()
        if refresh := self._refresh:
            refresh.token.cancel()
            await asyncio.wait([refresh.token])

    async def login(self, user_name_or_email: str, password: str, client_label: str = "") -> None:
        """Open a session. Raises grpc.aio.AioRpcError as AuthService.Login answers it."""
        request = api.LoginRequest(user_name_or_email=user_name_or_email, password=password, client_label=client_label)
        asked_at = self._monotonic()
        answer = await self._auth.Login(request, timeout=CALL_SECONDS)
        self._held = HeldTokens.received(answer.tokens, answer.server_time, asked_at)

    async def logout(self, scope: api.LogoutScope.ValueType = api.LOGOUT_SCOPE_THIS) -> int:
        """End the session, and others of the user as the scope says. Returns how many ended."""
        held, self._held, self._over = self._held, None, LoginNeeded(NO_SESSION)
        if held is None:
            return 0
        request = api.LogoutRequest(scope=scope, refresh_token=held.refresh_token)
        metadata = (bearer(held.access_token),)
        answer = await _patiently(lambda: self._auth.Logout(request, metadata=metadata, timeout=CALL_SECONDS))
        return int(answer.ended_sessions)

    async def access_token(self) -> str:
        """Return a token that is good for a while. Raises LoginNeeded, or AioRpcError if the service is away."""
        held = self._require()
        now = self._monotonic()
        if now < held.refresh_at:
            return held.access_token
        fresh = self._successor(held)
        return held.access_token if now < held.usable_until else await asyncio.shield(fresh)

    async def replace(self, refused: str) -> str:
        """Return another token than one that a service has refused. Raises as `access_token`."""
        held = self._require()
        return await asyncio.shield(self._successor(held)) if held.access_token == refused else held.access_token

    def channel(
        self, address: str, *, credentials: grpc.ChannelCredentials | None = None, insecure: bool = False
    ) -> grpc.aio.Channel:
        """Return a channel to a service on which every call carries the token.

        Raises ValueError if the token would leave this machine in the clear, unless `insecure`.
        """
        attached = [kind(self) for kind in (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)]
        channel = open_channel(address, credentials, insecure, attached)
        streams: Any = stream_rpc.StreamServiceStub(channel)
        for interceptor in attached:
            interceptor.streams = streams
        return channel

    def _require(self) -> HeldTokens:
        if self._held is None:
            raise LoginNeeded(str(self._over), self._over.reason)
        return self._held

    def _successor(self, held: HeldTokens) -> "asyncio.Task[str]":
        """Return the token that replaces what is held: under way for all who need it."""
        if self._refresh is None or not held.is_same(self._refresh.seen):
            token = asyncio.get_running_loop().create_task(self._ask(held))
            token.add_done_callback(_heard)
            self._refresh = _Refresh(held, token)
        return self._refresh.token

    async def _ask(self, seen: HeldTokens) -> str:
        """Replace tokens by their successors. Returns the access token of the session that is held then."""
        asked_at = self._monotonic()
        request = api.RefreshRequest(refresh_token=seen.refresh_token)
        successor: HeldTokens | LoginNeeded = seen
        try:
            answer = await _patiently(lambda: self._auth.Refresh(request, timeout=CALL_SECONDS))
            successor = HeldTokens.received(answer.tokens, answer.server_time, asked_at)
        except grpc.RpcError as error:
            successor = login_needed(error) or seen.refreshed_later(self._monotonic())
            if isinstance(successor, LoginNeeded):
                raise successor from None
            raise
        finally:
            self._settle(seen, successor)
        return self._require().access_token

    def _settle(self, seen: HeldTokens, successor: HeldTokens | LoginNeeded) -> None:
        if self._refresh and seen.is_same(self._refresh.seen):
            self._refresh = None
        if not seen.is_same(self._held):
            return  # Somebody has logged out meanwhile.
        if isinstance(successor, LoginNeeded):
            self._held, self._over = None, successor
        else:
            self._held = successor


class _Refresh(NamedTuple):
    """A refresh under way. In a task of its own, so that it goes on if those who wait for it do not."""

    seen: HeldTokens
    token: "asyncio.Task[str]"


def _heard(refresh: "asyncio.Task[str]") -> None:
    """Take notice of a failure, even if nobody waits for the token."""
    if not refresh.cancelled():
        refresh.exception()


class _Attached:
    """Puts a session's token on the calls of one channel."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.streams: Any = None

    async def open(self, continuation: Callable[..., Any], details: Any, request: Any, token: str) -> Any:
        """Open a stream that is renewed for as long as it lasts."""
        name = new_stream_name()
        call = await continuation(_with(details, bearer(token), (STREAM_ENTRY, name)), request)
        renewing = asyncio.get_running_loop().create_task(self._renew(name, token))
        call.add_done_callback(lambda _: renewing.cancel())
        return call

    async def _renew(self, name: str, presented: str) -> None:
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            # The stream ends by itself if this fails for good.
            with contextlib.suppress(*_NO_TOKEN):
                token = await self.session.access_token()
                if token != presented and await self._present(name, token):
                    presented = token

    async def _present(self, name: str, token: str) -> bool:
        """Renew a stream. Tells whether there is no use in doing so again."""
        request = stream_api.RenewStreamRequest(stream_id=name)
        try:
            await self.streams.RenewStream(request, metadata=(bearer(token),), timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            return not may_repeat(error)
        return True

    async def replacement(self, refused: str) -> str | None:
        """Return another token, or None if there is none: then the refusal stands."""
        try:
            return await self.session.replace(refused)
        except _NO_TOKEN:
            return None


class _UnaryUnary(_Attached, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        if has_authorization(details.metadata):
            return await continuation(details, request)
        token = await self.session.access_token()
        call = await continuation(_with(details, bearer(token)), request)
        try:
            is_refused = await call.code() is grpc.StatusCode.UNAUTHENTICATED
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
        token = await self.session.access_token()
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
            is_refused = may_retry and error.code() is grpc.StatusCode.UNAUTHENTICATED
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
        return await self.open(continuation, details, requests, await self.session.access_token())


class _StreamStream(_Attached, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        if has_authorization(details.metadata):
            return await continuation(details, requests)
        return await self.open(continuation, details, requests, await self.session.access_token())


def open_channel(
    address: str, credentials: grpc.ChannelCredentials | None, insecure: bool, interceptors: Any
) -> grpc.aio.Channel:
    """Return a channel. Raises ValueError if tokens would leave this machine in the clear, unless `insecure`."""
    if credentials is not None:
        return grpc.aio.secure_channel(address, credentials, options=CHANNEL_OPTIONS, interceptors=interceptors)
    require_loopback(address, insecure)
    return grpc.aio.insecure_channel(address, options=PLAINTEXT_OPTIONS, interceptors=interceptors)


async def _patiently(call: Callable[[], Any]) -> Any:
    """Return the answer of a call that bears repetition. Raises grpc.aio.AioRpcError."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return await call()
        except grpc.RpcError as error:
            if not may_repeat(error):
                raise
        await asyncio.sleep(pause(attempt))
    return await call()


def _with(details: Any, *entries: tuple[str, str]) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()), *entries)
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=details.timeout,
        metadata=metadata,
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )
