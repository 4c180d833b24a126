"""grpc.health.v1.Health: whether to send calls here.

In place of grpcio-health's servicer, which holds its lock while it writes to watchers: one that does not read and one
that hangs up stop the whole server with it (see writers.py). What a watcher is told is the status when it is its turn,
so one that is slow misses what has changed back meanwhile, as the protocol allows.
"""
# ruff: noqa: N802 -- RPC names

import threading
import time
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health_pb2 as api
from grpc_health.v1 import health_pb2_grpc as rpc

from authservice.domain.errors import Overloaded
from authservice.transport.statuses import abort, status_of
from authservice.transport.streams.writers import Send, Stream, Turns, Writers

SERVICE = api.DESCRIPTOR.services_by_name["Health"].full_name
WRITERS = 4
"""Statuses change rarely, and a write to one that reads takes less than a millisecond."""
MOST_WATCHERS = 1000
"""A client has one per connection. Each costs about 20 KB, most of it grpc's."""
LONGEST_NAME = 256
"""Nothing longer is the name of a service, and a watcher's is kept for as long as it watches."""

Status: TypeAlias = int
SERVING: Status = api.HealthCheckResponse.SERVING
NOT_SERVING = api.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = api.HealthCheckResponse.SERVICE_UNKNOWN


class _Watcher(Stream):
    """One open stream. `heard` is the status that was written to it last."""

    def __init__(self, context: grpc.ServicerContext, send: Send, service: str) -> None:
        super().__init__(context, send)
        self.service = service
        self.heard: Status | None = None
        self.is_busy = True


class HealthServicer(rpc.HealthServicer):
    """Serves Check, List and Watch. Lives as long as the server; safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._statuses: dict[str, Status] = {}
        self._is_ending = False
        self._watchers: set[_Watcher] = set()
        self._writers = Writers("health", WRITERS, Turns[_Watcher](), self._write, self._drop, time.monotonic)

    def Check(self, request: api.HealthCheckRequest, context: grpc.ServicerContext) -> api.HealthCheckResponse:
        """Return the status of a service. The empty name is the whole server."""
        status = self._statuses.get(request.service)
        if status is None:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            return api.HealthCheckResponse()
        return api.HealthCheckResponse(status=status)

    def List(self, request: Any, context: grpc.ServicerContext) -> Any:  # The stubs for mypy do not know its messages.
        """Return the status of every service."""
        answer = api.HealthListResponse()  # type: ignore[attr-defined]
        with self._lock:
            for service, status in self._statuses.items():
                answer.statuses[service].status = status
        return answer

    def Watch(  # type: ignore[override]  # grpc passes a third argument to what does not block
        self, request: api.HealthCheckRequest, context: grpc.ServicerContext, send: Send
    ) -> None:
        """Take a watcher. Returns at once; the stream goes on."""
        watcher = _Watcher(context, send, request.service[:LONGEST_NAME])
        with self._lock:
            is_full = len(self._watchers) >= MOST_WATCHERS
            if not is_full:
                self._watchers.add(watcher)
        if is_full:
            abort(context, status_of(Overloaded(1.0)))
        if context.add_callback(lambda: self._forget(watcher)):
            self._writers.put(watcher)
        else:
            self._forget(watcher)

    Watch.experimental_non_blocking = True  # type: ignore[attr-defined]  # so that it holds no thread

    def set(self, service: str, status: Status) -> None:
        """Tell the watchers of a service. Does nothing once the server is ending."""
        with self._lock:
            if not self._is_ending:
                self._statuses[service] = status
        self._spread()

    def enter_graceful_shutdown(self) -> None:
        """Say NOT_SERVING of everything from now on."""
        with self._lock:
            self._is_ending = True
            self._statuses = dict.fromkeys(self._statuses, NOT_SERVING)
        self._spread()

    def drop_blocked(self) -> None:
        """Drop watchers that do not read. To be called several times a second."""
        self._writers.drop_blocked()

    def close(self) -> None:
        """End the threads. Streams that are still open end with the server."""
        self._writers.close()

    def _spread(self) -> None:
        with self._lock:
            due = [each for each in self._watchers if not each.is_busy and each.heard != self._status_of(each)]
            for watcher in due:
                watcher.is_busy = True
        for watcher in due:
            self._writers.put(watcher)

    def _write(self, watcher: _Watcher) -> None:
        if watcher not in self._watchers:
            return
        watcher.heard = self._status_of(watcher)
        watcher.send(api.HealthCheckResponse(status=watcher.heard))
        with self._lock:
            # Either this sees what has just changed, or `set` sees that the watcher is free.
            watcher.is_busy = watcher.heard != self._status_of(watcher)
        if watcher.is_busy:
            self._writers.put(watcher)

    def _status_of(self, watcher: _Watcher) -> Status:
        return self._statuses.get(watcher.service, SERVICE_UNKNOWN)

    def _drop(self, watcher: _Watcher) -> None:
        self._forget(watcher)
        watcher.context.cancel()

    def _forget(self, watcher: _Watcher) -> None:
        with self._lock:
            self._watchers.discard(watcher)
