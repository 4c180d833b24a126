"""A session of a caller: log in once, and every channel made from it sends a token that is good."""

import concurrent.futures
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

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
from authclient._calling.sync.attached import attach
from authclient._wire.channels import NEVER_RESENT, open_channel
from authclient._wire.metadata import bearer


class Session:
    """Keeps one login alive, refreshing when a token is needed and the one at hand is getting old. For many threads.

    Args:
        address: `host:port` of the authentication service, or a channel to it.
        credentials: how to reach it; None for plaintext, which is for loopback only.
        insecure: allow plaintext to another machine.

    Raises:
        ValueError: plaintext would leave this machine.
    """

    def __init__(
        self,
        address: str | grpc.Channel,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._owns_channel = isinstance(address, str)
        self._channel = (
            open_channel(address, credentials, insecure, NEVER_RESENT) if isinstance(address, str) else address
        )
        self._auth = rpc.AuthServiceStub(self._channel)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._holding = Holding()
        self._refresh: _Refresh | None = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection to the authentication service. The session itself lives on; `logout` ends it."""
        if self._owns_channel:
            self._channel.close()
            if refresh := self._refresh:
                refresh.join()

    def login(self, user_name_or_email: str, password: str, client_label: str = "") -> None:
        """Open a session. Raises grpc.RpcError as AuthService.Login answers it."""
        request = api.LoginRequest(user_name_or_email=user_name_or_email, password=password, client_label=client_label)
        asked_at = self._monotonic()
        answer = self._auth.Login(request, timeout=CALL_SECONDS)
        self._holding.put(HeldTokens.received(answer.tokens, answer.server_time, asked_at))

    def logout(self, scope: api.LogoutScope.ValueType = api.LOGOUT_SCOPE_THIS) -> int:
        """End the session, and others of the user as the scope says. Returns how many ended. Raises grpc.RpcError."""
        held = self._holding.take()
        if held is None:
            return 0
        request = api.LogoutRequest(scope=scope, refresh_token=held.refresh_token)
        metadata = (bearer(held.access_token),)
        return int(
            _patiently(lambda: self._auth.Logout(request, metadata=metadata, timeout=CALL_SECONDS)).ended_sessions
        )

    def access_token(self) -> str:
        """Return a token that is good for a while. Raises LoginNeeded, or grpc.RpcError if the service is away."""
        held = self._holding.require()
        now = self._monotonic()
        if now < held.refresh_at:
            return held.access_token
        fresh = self._successor(held)
        return held.access_token if now < held.usable_until else fresh.result().access_token

    def replace(self, refused: str) -> str:
        """Return another token of the same session than one that a service has refused.

        Raises as `access_token`, and ValueError if the refused token is of a session before the last `login`.
        """
        held = self._holding.require()
        tokens = self._successor(held).result() if held.access_token == refused else held
        return self._holding.replacement(refused, tokens)

    def channel(
        self,
        address: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
    ) -> grpc.Channel:
        """Return a channel to a service on which every call carries the token.

        Raises ValueError if the token would leave this machine in the clear, unless `insecure`.
        """
        return self.attach(open_channel(address, credentials, insecure))

    def attach(self, channel: grpc.Channel) -> grpc.Channel:
        """Return a channel that you have made yourself, with the token on every call.

        A call whose token is refused is sent once more with a new token of the same session, unless it streams requests
        or is a future. Streams are renewed before their token expires.
        """
        return attach(channel, self)

    def call_credentials(self) -> grpc.CallCredentials:
        """Return credentials for `grpc.composite_channel_credentials`, where no interceptor can be had."""

        def plugin(_context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
            try:
                callback((bearer(self.access_token()),), None)
            except Exception as error:
                callback((), error)

        return grpc.metadata_call_credentials(plugin)  # type: ignore[arg-type]  # a function will do

    def _successor(self, seen: HeldTokens) -> "concurrent.futures.Future[HeldTokens]":
        """Return the tokens that replace what was seen: those that are there, or under way for all who need them."""
        with self._lock:
            held = self._holding.require()
            if not held.is_same(seen):
                there: concurrent.futures.Future[HeldTokens] = concurrent.futures.Future()
                there.set_result(held)
                return there
            if self._refresh is None or not held.is_same(self._refresh.seen):
                self._refresh = _Refresh(held, self._ask)
                self._refresh.start()
            return self._refresh.tokens

    def _ask(self, seen: HeldTokens) -> HeldTokens:
        """Replace tokens by their successors. Returns what is held then, which may be of a later login."""
        asked_at = self._monotonic()
        request = api.RefreshRequest(refresh_token=seen.refresh_token)
        successor: HeldTokens | LoginNeeded = seen
        try:
            answer = _patiently(lambda: self._auth.Refresh(request, timeout=CALL_SECONDS))
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
        with self._lock:
            if self._refresh and seen.is_same(self._refresh.seen):
                self._refresh = None


class _Refresh(threading.Thread):
    """A refresh under way. In a thread of its own, so that nobody who can do without waits for it."""

    def __init__(self, seen: HeldTokens, ask: Callable[[HeldTokens], HeldTokens]) -> None:
        super().__init__(name="authclient-refresh", daemon=True)
        self.seen = seen
        self.tokens: concurrent.futures.Future[HeldTokens] = concurrent.futures.Future()
        self._ask = ask

    def run(self) -> None:
        try:
            self.tokens.set_result(self._ask(self.seen))
        except Exception as error:
            self.tokens.set_exception(error)


def _patiently(call: Callable[[], Any]) -> Any:
    """Return the answer of a call that bears repetition. Raises grpc.RpcError."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return call()
        except grpc.RpcError as error:
            if not may_repeat(error):
                raise
        time.sleep(pause(attempt))
    return call()
