"""An authentication service on a real socket that says what a test tells it to."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import auth_service_pb2_grpc as auth_rpc
from authapi.v1 import trust_service_pb2 as api
from authapi.v1 import trust_service_pb2_grpc as rpc

from tests.clients.eventually import SOON
from tests.clients.scripted import DELTA, HISTORY, SECONDS, SNAPSHOT_END, forger, key_set, refuse, step
from tests.unit.forgery import Forger

BEAT_SECONDS = 0.1


class Watch:
    """One open stream, whose answers a test writes."""

    def __init__(self, request: api.WatchRevocationsRequest, context: grpc.ServicerContext) -> None:
        self.request = request
        self.opened_at = time.monotonic()
        self.is_over = threading.Event()
        self._context = context
        self._lines: queue.SimpleQueue[Any] = queue.SimpleQueue()
        if not context.add_callback(self._left):
            self._left()

    @property
    def resume_point(self) -> api.ResumePoint | None:
        """Where it wants to go on."""
        return self.request.resume_point if self.request.HasField("resume_point") else None

    def say(self, *answers: api.WatchRevocationsResponse) -> "Watch":
        """Send answers."""
        for each in answers:
            self._lines.put(each)
        return self

    def end(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, reason: str = "SHUTTING_DOWN") -> None:
        """End the stream."""
        self._lines.put((code, reason))

    def _left(self) -> None:
        self.is_over.set()
        self._lines.put(None)

    def lines(self) -> Iterator[api.WatchRevocationsResponse]:
        """Yield what the test writes."""
        while (line := self._lines.get()) is not None:
            if isinstance(line, tuple):
                refuse(self._context, *line)
            yield line


class AuthServer(rpc.TrustServiceServicer, auth_rpc.AuthServiceServicer):
    """Plays TrustService and AuthService.

    Keeps its watchers up to date by itself, unless `is_scripted`: then each new watch is in `watches` and says nothing
    until the test does.
    """

    def GetSigningKeys(self, request: api.GetSigningKeysRequest, context: Any) -> api.GetSigningKeysResponse:
        """See the contract."""
        return api.GetSigningKeysResponse(key_set=self.keys)

    def __init__(
        self,
        *signers: Forger,
        is_scripted: bool = False,
        host: str = "127.0.0.1",
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self.is_scripted = is_scripted
        self.host = host
        self._credentials = credentials
        self.keys = key_set(*(signers or (forger("ES256"),)))
        self.time: float = SECONDS
        self.uptime: Callable[[], float] = time.monotonic
        self.rules: list[api.Revocation] = []
        self.watches: queue.SimpleQueue[Watch] = queue.SimpleQueue()
        self.opened: list[Watch] = []
        self.shown: list[str] = []
        """Tokens that Verify was asked about."""
        self.verify: Callable[[Any, grpc.ServicerContext], Any] = lambda _request, context: refuse(
            context, grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE"
        )
        self._changed = threading.Condition()
        self._epoch = 0
        self._server: grpc.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """Where it is."""
        return f"{self.host}:{self.port}"

    def start(self) -> "AuthServer":
        """Start, on the port that it had before."""
        self._server = grpc.server(ThreadPoolExecutor(16))
        rpc.add_TrustServiceServicer_to_server(self, self._server)
        auth_rpc.add_AuthServiceServicer_to_server(self, self._server)
        if self._credentials:
            self.port = self._server.add_secure_port(self.address, self._credentials)
        else:
            self.port = self._server.add_insecure_port(self.address)
        self._server.start()
        return self

    def stop(self) -> None:
        """Be gone at once."""
        if self._server:
            stopped = self._server.stop(0)
            self.cut()
            stopped.wait()
            self._server = None

    def __enter__(self) -> "AuthServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def next_watch(self) -> Watch:
        """Return the next stream that is opened."""
        return self.watches.get(timeout=SOON)

    def revoke(self, *rules: api.Revocation) -> None:
        """Add rules and tell everybody."""
        with self._changed:
            self.rules += rules
            self._changed.notify_all()

    def publish(self, keys: api.KeySet) -> None:
        """Change the key set and tell everybody."""
        with self._changed:
            self.keys = keys
            self._changed.notify_all()

    def cut(self) -> None:
        """End every stream."""
        with self._changed:
            self._epoch += 1
            self._changed.notify_all()

    def Verify(self, request: auth_api.VerifyRequest, context: grpc.ServicerContext) -> auth_api.VerifyResponse:
        self.shown.append(request.access_token)
        answer: auth_api.VerifyResponse = self.verify(request, context)
        return answer

    def WatchRevocations(
        self, request: api.WatchRevocationsRequest, context: grpc.ServicerContext
    ) -> Iterator[api.WatchRevocationsResponse]:
        watch = Watch(request, context)
        self.opened.append(watch)
        self.watches.put(watch)
        yield from watch.lines() if self.is_scripted else self._news(watch, context)

    def _news(self, watch: Watch, context: grpc.ServicerContext) -> Iterator[api.WatchRevocationsResponse]:
        point = watch.resume_point
        position, keys, part, epoch, opened = 0, None, SNAPSHOT_END, self._epoch, self.uptime()
        if point:
            if point.history != HISTORY or point.seq > len(self.rules):
                refuse(context, grpc.StatusCode.OUT_OF_RANGE, "RESUME_POINT_UNKNOWN")
            position, part = point.seq, DELTA
        while context.is_active() and epoch == self._epoch:
            with self._changed:
                rules, changed = self.rules[position:], self.keys is not keys
                position, keys = len(self.rules), self.keys
                known = {each.SerializeToString(): each for each in self.rules}.values()
                count = sum(1 for each in known if each.expire_time.seconds > self.time)
                message = step(
                    part,
                    *rules,
                    count=count,
                    read=self.uptime(),
                    opened=opened if changed else None,
                    time_=self.time,
                    keys=keys if changed else None,
                    seq=position,
                )
            yield message
            part = DELTA
            with self._changed:
                if position == len(self.rules) and keys is self.keys and epoch == self._epoch:
                    self._changed.wait(BEAT_SECONDS)
        refuse(context, grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
