"""A session of an asyncio caller. See authclient.Session."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authclient._calling.aio.attached import attached_channel
from authclient._calling.held_tokens import (
    ATTEMPTS,
    CALL_SECONDS,
    HeldTokens,
    Holding,
    LoginNeeded,
    login_needed,
    may_repeat,
    pause,
)
from authclient._wire.channels import NEVER_RESENT, open_aio_channel
from authclient._wire.metadata import bearer


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
        self._channel = open_aio_channel(address, credentials, insecure, NEVER_RESENT)
        self._auth: Any = rpc.AuthServiceStub(self._channel)
        self._monotonic = monotonic
        self._holding = Holding()
        self._refresh: _Refresh | None = None

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection to the authentication service. The session itself lives on; `logout` ends it."""
        await self._channel.close()
        if refresh := self._refresh:
            refresh.tokens.cancel()
            await asyncio.wait([refresh.tokens])

    async def login(self, user_name_or_email: str, password: str, client_label: str = "") -> None:
        """Open a session. Raises grpc.aio.AioRpcError as AuthService.Login answers it."""
        request = api.LoginRequest(user_name_or_email=user_name_or_email, password=password, client_label=client_label)
        asked_at = self._monotonic()
        answer = await self._auth.Login(request, timeout=CALL_SECONDS)
        self._holding.put(HeldTokens.received(answer.tokens, answer.server_time, asked_at))

    async def logout(self, scope: api.LogoutScope.ValueType = api.LOGOUT_SCOPE_THIS) -> int:
        """End the session, and others of the user as the scope says. Returns how many ended."""
        held = self._holding.take()
        if held is None:
            return 0
        request = api.LogoutRequest(scope=scope, refresh_token=held.refresh_token)
        metadata = (bearer(held.access_token),)
        answer = await _patiently(lambda: self._auth.Logout(request, metadata=metadata, timeout=CALL_SECONDS))
        return int(answer.ended_sessions)

    async def access_token(self) -> str:
        """Return a token that is good for a while. Raises LoginNeeded, or AioRpcError if the service is away."""
        held = self._holding.require()
        now = self._monotonic()
        if now < held.refresh_at:
            return held.access_token
        fresh = self._successor(held)
        return held.access_token if now < held.usable_until else (await asyncio.shield(fresh)).access_token

    async def replace(self, refused: str) -> str:
        """Return another token of the same session than one that a service has refused.

        Raises as `access_token`, and ValueError if the refused token is of a session before the last `login`.
        """
        held = self._holding.require()
        tokens = await asyncio.shield(self._successor(held)) if held.access_token == refused else held
        return self._holding.replacement(refused, tokens)

    def channel(
        self, address: str, *, credentials: grpc.ChannelCredentials | None = None, insecure: bool = False
    ) -> grpc.aio.Channel:
        """Return a channel to a service on which every call carries the token.

        Raises ValueError if the token would leave this machine in the clear, unless `insecure`.
        """
        return attached_channel(self, address, credentials, insecure)

    def _successor(self, held: HeldTokens) -> "asyncio.Task[HeldTokens]":
        """Return the tokens that replace what is held: under way for all who need them."""
        if self._refresh is None or not held.is_same(self._refresh.seen):
            tokens = asyncio.get_running_loop().create_task(self._ask(held))
            tokens.add_done_callback(_heard)
            self._refresh = _Refresh(held, tokens)
        return self._refresh.tokens

    async def _ask(self, seen: HeldTokens) -> HeldTokens:
        """Replace tokens by their successors. Returns what is held then, which may be of a later login."""
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
        return self._holding.require()

    def _settle(self, seen: HeldTokens, successor: HeldTokens | LoginNeeded) -> None:
        self._holding.settle(seen, successor)
        if self._refresh and seen.is_same(self._refresh.seen):
            self._refresh = None


class _Refresh(NamedTuple):
    """A refresh under way. In a task of its own, so that it goes on if those who wait for it do not."""

    seen: HeldTokens
    tokens: "asyncio.Task[HeldTokens]"


def _heard(refresh: "asyncio.Task[HeldTokens]") -> None:
    """Take notice of a failure, even if nobody waits for the token."""
    if not refresh.cancelled():
        refresh.exception()


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
