"""A server of made-up tokens for sessions, and at the same time a service that takes them."""

import concurrent.futures
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import auth_service_pb2_grpc as auth_rpc
from authapi.v1 import stream_service_pb2 as stream_api
from authapi.v1 import stream_service_pb2_grpc as stream_rpc

from tests.clients.eventually import SOON
from tests.clients.guarded import KINDS, handler
from tests.clients.protos import SERVICE
from tests.clients.scripted import SECONDS, refuse


class TokenServer(auth_rpc.AuthServiceServicer, stream_rpc.StreamServiceServicer):
    """Hands out tokens that it makes up, and is at the same time a service that takes them.

    Attributes:
        life: seconds that an access token lives.
        new_token: what the access token with a number is.
        on_refresh: what happens before a refresh is answered.
        refuses: tokens that the service does not take.
        refusal: how it says so.
        reason: why it says so, and in which domain.
        on_call: what happens before a call is taken or refused.
    """

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.life = 900
        self.new_token: Callable[[int], str] = lambda number: f"access-{number}"
        self.refreshes: list[str] = []
        self.logouts: list[tuple[str, str]] = []
        self.renewals: list[tuple[str, str]] = []
        self.seen: list[str] = []
        self.names: list[str] = []
        self.on_refresh: Callable[[str, Any], Any] = lambda _, __: None
        self.on_renewal: Callable[[Any], Any] = lambda _: None
        self.on_hold: Callable[[bytes, Any], bytes] = lambda request, _: request
        self.refuses: set[str] = set()
        self.refusal = grpc.StatusCode.UNAUTHENTICATED
        self.reason = ("TOKEN_OUTDATED", "authservice")
        self.on_call: Callable[[str], Any] = lambda _: None
        self._numbers = iter(range(1, 1_000_000))
        self._successors: dict[str, auth_api.SessionTokens] = {}
        self._session_ids: dict[str, str] = {}
        self._lock = threading.Lock()
        self._pool = concurrent.futures.ThreadPoolExecutor(80)
        self._server = grpc.server(self._pool)
        auth_rpc.add_AuthServiceServicer_to_server(self, self._server)
        stream_rpc.add_StreamServiceServicer_to_server(self, self._server)
        kinds: list[Callable[..., Any]] = [self._echo, self._count, self._join, self._repeat]
        handlers = {kind: handler(kind, behavior) for kind, behavior in zip(KINDS, kinds, strict=True)}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        if credentials:
            self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        else:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    @property
    def address(self) -> str:
        """Where it is."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "TokenServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()
        self._pool.shutdown()

    def _tokens(self, session_id: str = "") -> auth_api.SessionTokens:
        number = next(self._numbers)
        session_id = session_id or f"session-{number}"
        self._session_ids[f"refresh-{number}"] = session_id
        tokens = auth_api.SessionTokens(
            session_id=session_id, access_token=self.new_token(number), refresh_token=f"refresh-{number}"
        )
        tokens.access_token_expire_time.FromSeconds(SECONDS + self.life)
        return tokens

    def Login(self, request: auth_api.LoginRequest, context: grpc.ServicerContext) -> auth_api.LoginResponse:
        answer = auth_api.LoginResponse(tokens=self._tokens())
        answer.server_time.FromSeconds(SECONDS)
        return answer

    def Refresh(self, request: auth_api.RefreshRequest, context: grpc.ServicerContext) -> auth_api.RefreshResponse:
        with self._lock:
            self.refreshes.append(request.refresh_token)
            if request.refresh_token not in self._successors:
                session_id = self._session_ids.get(request.refresh_token, "")
                self._successors[request.refresh_token] = self._tokens(session_id)
        self.on_refresh(request.refresh_token, context)
        answer = auth_api.RefreshResponse(tokens=self._successors[request.refresh_token])
        answer.server_time.FromSeconds(SECONDS)
        return answer

    def CompleteLogin(
        self, request: auth_api.CompleteLoginRequest, context: grpc.ServicerContext
    ) -> auth_api.CompleteLoginResponse:
        raise NotImplementedError

    def StepUp(self, request: auth_api.StepUpRequest, context: grpc.ServicerContext) -> auth_api.StepUpResponse:
        raise NotImplementedError

    def BeginPasskeyLogin(
        self, request: auth_api.BeginPasskeyLoginRequest, context: grpc.ServicerContext
    ) -> auth_api.BeginPasskeyLoginResponse:
        raise NotImplementedError

    def LoginWithPasskey(
        self, request: auth_api.LoginWithPasskeyRequest, context: grpc.ServicerContext
    ) -> auth_api.LoginWithPasskeyResponse:
        raise NotImplementedError

    def Register(self, request: auth_api.RegisterRequest, context: grpc.ServicerContext) -> auth_api.RegisterResponse:
        raise NotImplementedError

    def Verify(self, request: auth_api.VerifyRequest, context: grpc.ServicerContext) -> auth_api.VerifyResponse:
        raise NotImplementedError

    def Logout(self, request: auth_api.LogoutRequest, context: grpc.ServicerContext) -> auth_api.LogoutResponse:
        self.logouts.append((request.refresh_token, self._bearer(context)))
        return auth_api.LogoutResponse(ended_sessions=1)

    def RenewStream(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.renewals.append((request.stream_id, self._bearer(context)))
        self.on_renewal(context)
        return stream_api.RenewStreamResponse()

    def _bearer(self, context: Any) -> str:
        return str(dict(context.invocation_metadata()).get("authorization", "")).removeprefix("Bearer ")

    def _admit(self, context: Any) -> bytes:
        token = self._bearer(context)
        self.seen.append(token)
        self.names.append(str(dict(context.invocation_metadata()).get("authclient-stream", "")))
        self.on_call(token)
        if token in self.refuses:
            refuse(context, self.refusal, *self.reason)
        return token.encode()

    def _echo(self, request: bytes, context: Any) -> bytes:
        token = self._admit(context)
        return self.on_hold(request, context) if request == b"hold" else token

    def _count(self, request: bytes, context: Any) -> Iterator[bytes]:
        token = self._admit(context)
        yield token
        if request == b"break":
            refuse(context, grpc.StatusCode.UNAUTHENTICATED, "SESSION_ENDED")
        if request == b"wait":
            gone = threading.Event()
            context.add_callback(gone.set)
            gone.wait(SOON)
        yield b"last"

    def _join(self, requests: Iterable[bytes], context: Any) -> bytes:
        token = self._admit(context)
        list(requests)
        return token

    def _repeat(self, requests: Iterable[bytes], context: Any) -> Iterator[bytes]:
        token = self._admit(context)
        for _ in requests:
            yield token


def away(_: str, context: Any) -> None:
    """Answer no Refresh."""
    refuse(context, grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")


def over(_: str, context: Any) -> None:
    """Answer that the session is over."""
    refuse(context, grpc.StatusCode.UNAUTHENTICATED, "SESSION_ENDED")
