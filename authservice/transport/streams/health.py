"""grpc.health.v1.Health: whether to send calls here, and by one name of its own whether the process lives.

In place of grpcio-health's servicer, which holds its lock while it writes to watchers: one that does not read and one
that hangs up stop the whole server with it (see writers.py). What a watcher is told is the status when it is its turn,
so one that is slow misses what has changed back meanwhile, as the protocol allows.
"""
# ruff: noqa: N802 -- RPC names

import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health_pb2 as api
from grpc_health.v1 import health_pb2_grpc as rpc

from authservice.domain.errors import AuthError
from authservice.transport.statuses import abort, status_of
from authservice.transport.streams.open_streams import OpenStreams
from authservice.transport.streams.writers import Send, Stream, Turns, Writers

SERVICE = api.DESCRIPTOR.services_by_name["Health"].full_name
LIVENESS = "liveness"
"""Serving for as long as somebody is there to say so, whatever becomes of the database."""
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


class HealthWatchers(OpenStreams[_Watcher]):
    """Those who watch the status of a service, by name.

    Args:
        status_of_service: answers the status of a service at once.
    """

    def __init__(self, status_of_service: Callable[[str], Status]) -> None:
        super().__init__(time.monotonic)
        self._status_of_service = status_of_service
        self._writers = self.hire("health", WRITERS, Turns[_Watcher]())

    @property
    def most(self) -> int:
        return MOST_WATCHERS

    def crew_of(self, stream: _Watcher) -> Writers[_Watcher]:
        return self._writers

    def begin(self, stream: _Watcher) -> None:
        pass

    def is_due(self, stream: _Watcher) -> bool:
        return stream.heard != self._status_of_service(stream.service)

    def next_message(self, stream: _Watcher) -> api.HealthCheckResponse:
        stream.heard = self._status_of_service(stream.service)
        return api.HealthCheckResponse(status=stream.heard)


class HealthServicer(rpc.HealthServicer):
    """Serves Check, List and Watch. Lives as long as the server; safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._statuses: dict[str, Status] = {LIVENESS: SERVING}
        self._is_ending = False
        self.watchers = HealthWatchers(lambda service: self._statuses.get(service, SERVICE_UNKNOWN))

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
        try:
            self.watchers.take(_Watcher(context, send, request.service[:LONGEST_NAME]))
        except AuthError as error:  # No boundary stands before this service.
            abort(context, status_of(error))

    Watch.experimental_non_blocking = True  # type: ignore[attr-defined]  # so that it holds no thread

    def set(self, service: str, status: Status) -> None:
        """Tell the watchers of a service. Does nothing once the server is ending."""
        with self._lock:
            if not self._is_ending:
                self._statuses[service] = status
        self.watchers.spread()

    def enter_graceful_shutdown(self) -> None:
        """Say NOT_SERVING of everything but liveness from now on."""
        with self._lock:
            self._is_ending = True
            self._statuses = {**dict.fromkeys(self._statuses, NOT_SERVING), LIVENESS: SERVING}
        self.watchers.spread()
