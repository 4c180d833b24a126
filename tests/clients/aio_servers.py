"""A guarded asyncio server on a real socket, handlers of every shape, and a server of made-up tokens for sessions."""

import asyncio
import concurrent.futures
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any

import grpc
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import auth_service_pb2_grpc as auth_rpc
from authapi.v1 import rule_pb2
from authapi.v1 import stream_service_pb2 as stream_api
from authapi.v1 import stream_service_pb2_grpc as stream_rpc
from authclient.aio import AuthInterceptor

from tests.clients.guarded import KINDS, SIGNED_IN, Outcome, handler, outcome, path
from tests.clients.protos import SERVICE, service_file
from tests.clients.scripted import SECONDS, SOON, refuse

Work = Callable[[list[bytes], Any], list[bytes]]

SHAPES = [
    *[("async", kind) for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream")],
    *[("read_write", kind) for kind in ("unary_stream", "stream_unary", "stream_stream")],
    *[("blocking", kind) for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream")],
]
"""Every way to write a handler for an asyncio server."""
OPEN_SHAPES = [shape for shape in SHAPES if shape[1] != "unary_unary"]
"""Those that stream."""


async def _read_all(context: Any) -> list[bytes]:
    messages = []
    while (message := await context.read()) is not grpc.aio.EOF:
        messages.append(message)
    return messages


def _behaviors(work: Work) -> dict[tuple[str, str], Callable[..., Any]]:
    async def unary_unary(request: bytes, context: Any) -> bytes:
        return b"".join(work([request], context))

    async def unary_stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for answer in work([request], context):
            yield answer

    async def stream_unary(requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join(work([each async for each in requests], context))

    async def stream_stream(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        for answer in work([each async for each in requests], context):
            yield answer

    async def write_all(request: bytes, context: Any) -> None:
        for answer in work([request], context):
            await context.write(answer)

    async def read_all(_: Any, context: Any) -> bytes:
        return b"".join(work(await _read_all(context), context))

    async def read_and_write(_: Any, context: Any) -> None:
        for answer in work(await _read_all(context), context):
            await context.write(answer)

    def function(request: bytes, context: Any) -> bytes:
        return b"".join(work([request], context))

    def generator(request: bytes, context: Any) -> Iterator[bytes]:
        yield from work([request], context)

    def consumer(requests: Iterable[bytes], context: Any) -> bytes:
        return b"".join(work(list(requests), context))

    def transformer(requests: Iterable[bytes], context: Any) -> Iterator[bytes]:
        yield from work(list(requests), context)

    return dict(
        zip(
            SHAPES,
            (
                *(unary_unary, unary_stream, stream_unary, stream_stream),
                *(write_all, read_all, read_and_write),
                *(function, generator, consumer, transformer),
            ),
            strict=True,
        )
    )


def every_shape(work: Work) -> dict[str, Any]:
    """Return one handler for each shape, by name, that does the same: takes what was sent and answers."""
    return {name(shape): handler(shape[1], behavior) for shape, behavior in _behaviors(work).items()}


def name(shape: tuple[str, str]) -> str:
    """Return the name of the method with a handler of this shape."""
    return "_".join(shape)


class Idle:
    """Handlers that take the first message, answer `first` where they stream answers, and wait for something.

    Attributes:
        begun: what is put here for each call that reached its handler.
        left: what becomes of it: `closed`, `cancelled` or the name of an exception.
    """

    def __init__(self, look: Callable[[Any], Any] = lambda _: "begun") -> None:
        self.begun: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.left: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.release = threading.Event()
        self._look = look

    def handlers(self) -> dict[str, Any]:
        """Return one for each shape that streams."""
        shapes = dict(zip(OPEN_SHAPES, self._behaviors(), strict=True))
        return {name(shape): handler(shape[1], behavior) for shape, behavior in shapes.items()}

    def _behaviors(self) -> list[Callable[..., Any]]:
        async def unary_stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
            with self._noted(context):
                yield b"first"
                await asyncio.Event().wait()

        async def stream_unary(requests: AsyncIterator[bytes], context: Any) -> bytes:
            with self._noted(context):
                return b"".join([each async for each in requests])

        async def stream_stream(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            with self._noted(context):
                async for _ in requests:
                    yield b"first"

        async def write(request: bytes, context: Any) -> None:
            with self._noted(context):
                await context.write(b"first")
                await asyncio.Event().wait()

        async def read(_: Any, context: Any) -> bytes:
            with self._noted(context):
                return b"".join(await _read_all(context))

        async def read_and_write(_: Any, context: Any) -> None:
            with self._noted(context):
                while await context.read() is not grpc.aio.EOF:
                    await context.write(b"first")

        def generator(request: bytes, context: Any) -> Iterator[bytes]:
            with self._noted(context):
                yield b"first"
                self.release.wait(SOON)
                yield b"second"

        def consumer(requests: Iterable[bytes], context: Any) -> bytes:
            with self._noted(context):
                return b"".join(requests)

        def transformer(requests: Iterable[bytes], context: Any) -> Iterator[bytes]:
            with self._noted(context):
                for _ in requests:
                    yield b"first"

        return [
            *(unary_stream, stream_unary, stream_stream),
            *(write, read, read_and_write),
            *(generator, consumer, transformer),
        ]

    def _noted(self, context: Any) -> "_Noted":
        self.begun.put(self._look(context))
        return _Noted(self.left)


class _Noted:
    """Says how a handler was left."""

    def __init__(self, left: "queue.SimpleQueue[str]") -> None:
        self._left = left

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        known: dict[Any, str] = {None: "returned", asyncio.CancelledError: "cancelled", GeneratorExit: "closed"}
        self._left.put(known.get(kind) or str(getattr(kind, "__name__", "")))


class AioGuarded:
    """The service.

    Args:
        authority: None for no interceptor at all.
        handlers: by the name of the method.
        rules: by the name of the method; None for callers who are signed in everywhere.
        pool: where grpc runs synchronous handlers.
    """

    def __init__(
        self,
        authority: Any,
        handlers: dict[str, Any],
        rules: Mapping[str, rule_pb2.Rule | None] | None = None,
        *,
        pool: concurrent.futures.ThreadPoolExecutor | None = None,
        extra: Iterable[Any] = (),
        before: Iterable[Any] = (),
    ) -> None:
        rules = dict.fromkeys(handlers, SIGNED_IN) if rules is None else rules
        self.interceptor = AuthInterceptor(authority, service_file(**rules)) if authority else None
        self.complaints: list[dict[str, Any]] = []
        self.port = 0
        self._handlers = (grpc.method_handlers_generic_handler(SERVICE, handlers), *extra)
        self._before = tuple(before)
        self._pool = pool
        self._started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))
        self._thread.start()
        assert self._started.wait(SOON)
        self.channel = self.new_channel()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _, told: self.complaints.append(told))
        self._stop = asyncio.Event()
        interceptors = [*self._before, *([self.interceptor] if self.interceptor else [])]
        server = grpc.aio.server(self._pool, interceptors=interceptors)
        server.add_generic_rpc_handlers(self._handlers)
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._started.set()
        await self._stop.wait()
        await server.stop(0)

    def new_channel(self) -> grpc.Channel:
        """Return a connection of its own."""
        return grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[("grpc.use_local_subchannel_pool", 1)])

    @property
    def leases(self) -> int:
        """How many streams are guarded right now."""
        assert self.interceptor
        return len(self.interceptor._leases)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something on the server's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SOON)

    def __enter__(self) -> "AioGuarded":
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(SOON)
        assert not self._thread.is_alive(), "the server does not end"
        assert self.complaints == []

    def call(self, shape: tuple[str, str], *messages: bytes, method: str | None = None, **options: Any) -> Outcome:
        """Make one call and wait for its end."""
        return outcome(self.channel, shape[1], path(method or name(shape)), messages or (b"hello",), **options)


class TokenServer(auth_rpc.AuthServiceServicer, stream_rpc.StreamServiceServicer):
    """Hands out tokens that it makes up, and is at the same time a service that takes them.

    Attributes:
        life: seconds that an access token lives.
        on_refresh: what happens before a refresh is answered.
        refuses: tokens that the service does not take.
        refusal: how it says so.
    """

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.life = 900
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
        self._numbers = iter(range(1, 1_000_000))
        self._successors: dict[str, auth_api.SessionTokens] = {}
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

    def _tokens(self) -> auth_api.SessionTokens:
        number = next(self._numbers)
        tokens = auth_api.SessionTokens(
            session_id="session", access_token=f"access-{number}", refresh_token=f"refresh-{number}"
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
                self._successors[request.refresh_token] = self._tokens()
        self.on_refresh(request.refresh_token, context)
        answer = auth_api.RefreshResponse(tokens=self._successors[request.refresh_token])
        answer.server_time.FromSeconds(SECONDS)
        return answer

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
        if token in self.refuses:
            refuse(context, self.refusal, "TOKEN_OUTDATED")
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
