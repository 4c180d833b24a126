"""A session of a caller: log in once, and every channel made from it sends a token that is good."""

import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
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
from authclient.trust import open_channel

RENEWAL_SECONDS = 1.0
"""Between two looks at whether open streams need a fresher token. A refreshed one is good for minutes."""

_NO_TOKEN = (LoginNeeded, grpc.RpcError, ValueError)
"""Why there is none: the session is over, the authentication service is away, or the connection to it is closed."""


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
        self._channel = open_channel(address, credentials, insecure) if isinstance(address, str) else address
        self._auth = rpc.AuthServiceStub(self._channel)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._held: HeldTokens | None = None
        self._over = LoginNeeded(NO_SESSION)
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
        with self._lock:
            self._held = HeldTokens.received(answer.tokens, answer.server_time, asked_at)

    def logout(self, scope: api.LogoutScope.ValueType = api.LOGOUT_SCOPE_THIS) -> int:
        """End the session, and others of the user as the scope says. Returns how many ended. Raises grpc.RpcError."""
        with self._lock:
            held, self._held, self._over = self._held, None, LoginNeeded(NO_SESSION)
        if held is None:
            return 0
        request = api.LogoutRequest(scope=scope, refresh_token=held.refresh_token)
        metadata = (bearer(held.access_token),)
        return int(
            _patiently(lambda: self._auth.Logout(request, metadata=metadata, timeout=CALL_SECONDS)).ended_sessions
        )

    def access_token(self) -> str:
        """Return a token that is good for a while. Raises LoginNeeded, or grpc.RpcError if the service is away."""
        held = self._require()
        now = self._monotonic()
        if now < held.refresh_at:
            return held.access_token
        fresh = self._successor(held)
        return held.access_token if now < held.usable_until else fresh.result()

    def replace(self, refused: str) -> str:
        """Return another token than one that a service has refused. Raises as `access_token`."""
        held = self._require()
        return self._successor(held).result() if held.access_token == refused else held.access_token

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

        A call that is refused as UNAUTHENTICATED is sent once more with a new token, unless it streams requests or is a
        future. Streams are renewed before their token expires.
        """
        return grpc.intercept_channel(channel, _Attached(self, stream_rpc.StreamServiceStub(channel)))

    def call_credentials(self) -> grpc.CallCredentials:
        """Return credentials for `grpc.composite_channel_credentials`, where no interceptor can be had."""

        def plugin(_context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
            try:
                callback((bearer(self.access_token()),), None)
            except Exception as error:
                callback((), error)

        return grpc.metadata_call_credentials(plugin)  # type: ignore[arg-type]  # a function will do

    def _require(self) -> HeldTokens:
        held = self._held
        if held is None:
            raise LoginNeeded(str(self._over), self._over.reason)
        return held

    def _successor(self, seen: HeldTokens) -> "concurrent.futures.Future[str]":
        """Return the token that replaces what was seen: the one that is there, or under way for all who need it."""
        with self._lock:
            held = self._require()
            if not held.is_same(seen):
                there: concurrent.futures.Future[str] = concurrent.futures.Future()
                there.set_result(held.access_token)
                return there
            if self._refresh is None or not held.is_same(self._refresh.seen):
                self._refresh = _Refresh(held, self._ask)
                self._refresh.start()
            return self._refresh.token

    def _ask(self, seen: HeldTokens) -> str:
        """Replace tokens by their successors. Returns the access token of the session that is held then."""
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
        return self._require().access_token

    def _settle(self, seen: HeldTokens, successor: HeldTokens | LoginNeeded) -> None:
        with self._lock:
            if self._refresh and seen.is_same(self._refresh.seen):
                self._refresh = None
            if not seen.is_same(self._held):
                return  # Somebody has logged out meanwhile.
            if isinstance(successor, LoginNeeded):
                self._held, self._over = None, successor
            else:
                self._held = successor


class _Refresh(threading.Thread):
    """A refresh under way. In a thread of its own, so that nobody who can do without waits for it."""

    def __init__(self, seen: HeldTokens, ask: Callable[[HeldTokens], str]) -> None:
        super().__init__(name="authclient-refresh", daemon=True)
        self.seen = seen
        self.token: concurrent.futures.Future[str] = concurrent.futures.Future()
        self._ask = ask

    def run(self) -> None:
        try:
            self.token.set_result(self._ask(self.seen))
        except Exception as error:
            self.token.set_exception(error)


class _Attached(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Puts a session's token on the calls of one channel."""

    def __init__(self, session: Session, streams: stream_rpc.StreamServiceStub) -> None:
        self._session = session
        self._renewals = _Renewals(session, streams)

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        if has_authorization(details.metadata):
            return continuation(details, request)
        token = self._session.access_token()
        call = continuation(_with(details, bearer(token)), request)
        if not call.done() or call.code() is not grpc.StatusCode.UNAUTHENTICATED:
            return call
        fresh = _replacement(self._session, token)
        return continuation(_with(details, bearer(fresh)), request) if fresh else call

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        if has_authorization(details.metadata):
            return continuation(details, request)
        return _Answers(self._session, lambda token: self._open(continuation, details, request, token))

    def intercept_stream_unary(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        if has_authorization(details.metadata):
            return continuation(details, requests)
        return self._open(continuation, details, requests, self._session.access_token())

    def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        if has_authorization(details.metadata):
            return continuation(details, requests)
        return self._open(continuation, details, requests, self._session.access_token())

    def _open(self, continuation: Callable[..., Any], details: Any, request: Any, token: str) -> Any:
        """Open a stream that is renewed for as long as it lasts."""
        name = new_stream_name()
        self._renewals.add(name, token)
        try:
            call = continuation(_with(details, bearer(token), (STREAM_ENTRY, name)), request)
        except BaseException:
            self._renewals.forget(name)
            raise
        # What grpc makes of a call that has failed before it is returned takes no callbacks.
        if call.done() or not call.add_callback(lambda: self._renewals.forget(name)):
            self._renewals.forget(name)
        return call


class _Answers:
    """The answers of a stream, which is opened once more if its token is refused before the first of them."""

    def __init__(self, session: Session, begin: Callable[[str], Any]) -> None:
        self._session = session
        self._begin = begin
        self._token = session.access_token()
        self._may_retry = True
        self._call = begin(self._token)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            answer = next(self._call)
        except grpc.RpcError:
            is_refused = self._may_retry and self._call.code() is grpc.StatusCode.UNAUTHENTICATED
            self._may_retry = False
            fresh = _replacement(self._session, self._token) if is_refused else None
            if fresh is None:
                raise
            self._call = self._begin(fresh)
            return next(self._call)
        self._may_retry = False
        return answer


class _Renewals:
    """Presents fresh tokens for open streams. Its thread lives as long as there are any."""

    def __init__(self, session: Session, streams: stream_rpc.StreamServiceStub) -> None:
        self._session = session
        self._streams = streams
        self._lock = threading.Lock()
        self._presented: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    def add(self, name: str, token: str) -> None:
        """Renew a stream that was opened with a token, until `forget`."""
        with self._lock:
            self._presented[name] = token
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="authclient-renewals", daemon=True)
                self._thread.start()

    def forget(self, name: str) -> None:
        """Renew a stream no more."""
        with self._lock:
            self._presented.pop(name, None)

    def _run(self) -> None:
        while True:
            time.sleep(RENEWAL_SECONDS)
            with self._lock:
                streams = dict(self._presented)
                if not streams:
                    self._thread = None
                    return
            # The stream ends by itself if this fails for good.
            with contextlib.suppress(*_NO_TOKEN):
                token = self._session.access_token()
                for name in [name for name, presented in streams.items() if presented != token]:
                    self._renew(name, token)

    def _renew(self, name: str, token: str) -> None:
        request = stream_api.RenewStreamRequest(stream_id=name)
        try:
            self._streams.RenewStream(request, metadata=(bearer(token),), timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if may_repeat(error):
                return
        with self._lock:
            if name in self._presented:
                self._presented[name] = token


def _replacement(session: Session, refused: str) -> str | None:
    """Return another token, or None if there is none: then the refusal stands."""
    try:
        return session.replace(refused)
    except _NO_TOKEN:
        return None


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


class _Details(NamedTuple):
    method: Any
    timeout: Any
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any


def _with(details: Any, *entries: tuple[str, str]) -> _Details:
    metadata = (*(details.metadata or ()), *entries)
    return _Details(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready, details.compression
    )
