"""A guarded asyncio server on a real socket."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

import grpc
from authapi.v1 import rule_pb2
from authclient.aio import AuthInterceptor

from tests.clients.eventually import SOON
from tests.clients.guarded import SIGNED_IN, Outcome, outcome, path
from tests.clients.protos import SERVICE, service_file
from tests.clients.shapes import name

GRPCIO = tuple(map(int, grpc.__version__.split(".")[:2]))


class AioGuarded:
    """The service.

    Args:
        authority: None for no interceptor at all.
        handlers: by the name of the method.
        rules: by the name of the method; None for callers who are signed in everywhere.
        pool: where grpc runs synchronous handlers. It has to be over before the event loop is, which they answer to:
            `with AioGuarded(..., pool=pool) as served, pool:`
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
        behind: Iterable[Any] = (),
    ) -> None:
        rules = dict.fromkeys(handlers, SIGNED_IN) if rules is None else rules
        self.interceptor = AuthInterceptor(authority, service_file(**rules)) if authority else None
        self.complaints: list[dict[str, Any]] = []
        self.port = 0
        self._handlers = (grpc.method_handlers_generic_handler(SERVICE, handlers), *extra)
        self._before, self._behind = tuple(before), tuple(behind)
        self._pool = pool
        self._started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))
        self._thread.start()
        assert self._started.wait(SOON)
        self.channel = self.new_channel()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(self._complain)
        self._stop = asyncio.Event()
        interceptors = [*self._before, *([self.interceptor] if self.interceptor else []), *self._behind]
        server = grpc.aio.server(self._pool, interceptors=interceptors)
        server.add_generic_rpc_handlers(self._handlers)
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._started.set()
        await self._stop.wait()
        await server.stop(0)

    def _complain(self, _loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        # grpc has one queue for all event loops of a process, and tells any of them what came too late for another.
        # Before 1.85 it also tells every loop that something came, of which one alone finds it.
        kinds = (RuntimeError,) if GRPCIO >= (1, 85) else (RuntimeError, BlockingIOError)
        is_of_another = isinstance(told.get("exception"), kinds) and "_handle_events" in told["message"]
        if not is_of_another:
            self.complaints.append(told)

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
        assert self.complaints == [], self.complaints  # This file is not rewritten by pytest.

    def call(self, shape: tuple[str, str], *messages: bytes, method: str | None = None, **options: Any) -> Outcome:
        """Make one call and wait for its end."""
        return outcome(self.channel, shape[1], path(method or name(shape)), messages or (b"hello",), **options)
