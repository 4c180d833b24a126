"""The grpc server: its limits, its credentials, its services, its end."""

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from authclient import SERVER_OPTIONS
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status

from authservice.domain.errors import DeadlineTooShort, Overloaded, RequestMissing, ShuttingDown
from authservice.transport import reflection
from authservice.transport.boundary import Boundary, OnUnavailable, nobody_hears, unforeseen
from authservice.transport.certificates import Certificates, TlsFiles
from authservice.transport.entrance.entrance import Entrance, Terms
from authservice.transport.entrance.line import Together
from authservice.transport.metadata_limit import MetadataLimit
from authservice.transport.methods import PASSWORD_METHODS, require_rows
from authservice.transport.registration import Registration
from authservice.transport.statuses import final_status
from authservice.transport.streams import health

MAX_MESSAGE_BYTES = 65 * 1024
"""64 KiB for the longest field that is still judged by its own rule, and 1 KiB around it."""
FLUSH_SECONDS = 0.5
"""What the last answers get to leave after the last handler has returned."""

_OPTIONS = {
    **dict(SERVER_OPTIONS),
    "grpc.so_reuseport": 1,  # The workers share a port.
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
}
"""Those that every guarded service is advised to have, and what is different here. Of the calls that nobody has taken
up yet, those who send no request are to go before core turns any away (see entrance)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a server takes on. `password_calls` is how many calls may wait for a hash.

    `default_deadline` are the seconds given to a call that brings no deadline. `connection_age` are those after which
    a connection takes nothing new, 0 for never, and `connection_grace` those that what runs on it then gets to end.
    Connections beyond `max_connections` are closed at once; 0 is any number. One without a call is closed after
    `connection_idle` seconds, 0 for never.
    """

    threads: int
    max_calls: int
    password_calls: int
    max_watchers: int = 0
    default_deadline: float = 10.0
    connection_age: float = 0.0
    connection_grace: float = 0.0
    max_connections: int = 0
    connection_idle: float = 0.0


class Server:
    """A grpc server with the services of the contract, health and reflection. Lives from construction to `stop`.

    Args:
        registrations: the services.
        guard: judges callers by the rules of the methods.
        together: how the methods are answered whose calls are answered together, by full name. None for a grpcio that
            the entrance does not work with: each call then has a thread from its headers on, as grpcio does it.
        on_unavailable: hears of each call that is refused because of the database.
    """

    def __init__(
        self,
        registrations: Sequence[Registration],
        guard: grpc.ServerInterceptor,
        limits: Limits,
        *,
        has_reflection: bool,
        together: Mapping[str, Together] | None,
        on_unavailable: OnUnavailable = nobody_hears,
    ) -> None:
        require_rows(registrations)
        calls = ThreadPoolExecutor(limits.threads, "call")
        password_calls = ThreadPoolExecutor(limits.password_calls, "password-call")
        self._pools = ((calls, limits.threads), (password_calls, limits.password_calls))
        self._metadata_limit = MetadataLimit(_OPTIONS["grpc.max_metadata_size"])
        self._entrance = None if together is None else Entrance(calls, together, _terms(limits))
        boundary = Boundary(PASSWORD_METHODS, password_calls, on_unavailable)
        self._server = grpc.server(
            calls,
            interceptors=[each for each in (self._metadata_limit, self._entrance, guard, boundary) if each],
            options=_options(limits),
            # Watchers hold no thread, and grpc counts what does. The entrance counts calls whose request is there.
            maximum_concurrent_rpcs=None if self._entrance else limits.max_calls,
        )
        self._services = tuple(registration.name for registration in registrations)
        self._streams = [registration.streams for registration in registrations if registration.streams is not None]
        self._health = health.HealthServicer()
        for registration in registrations:
            registration.add(registration.servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if has_reflection:
            reflection.serve((*self._services, health.SERVICE), self._server)

    @property
    def open_streams(self) -> int:
        """How many streams of these services are open."""
        return sum(len(streams) for streams in self._streams)

    def listen(self, address: str, tls: TlsFiles | None) -> int:
        """Bind `host:port` and return the port.

        Raises RuntimeError if it is taken, TlsFilesUnusable.
        """
        if tls is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, Certificates(tls).credentials())

    def start(self) -> None:
        """Begin to answer. Health says NOT_SERVING until `set_healthy`."""
        self.set_healthy(False)
        self._server.start()

    def set_healthy(self, healthy: bool) -> None:
        """Tell watchers of health whether the database answers."""
        status = health.SERVING if healthy else health.NOT_SERVING
        for service in ("", *self._services):
            self._health.set(service, status)

    def announce(self) -> None:
        """Let watchers know what has been revoked, and drop those of any kind that do not read."""
        for streams in self._streams:
            streams.announce()
        self._health.watchers.announce()

    def drain(self) -> None:
        """Say NOT_SERVING from now on, so that nobody new is sent here, and send watchers elsewhere."""
        self._health.enter_graceful_shutdown()
        self._close_streams()

    def stop(self, grace: float) -> None:
        """Take nothing new, give running calls `grace` seconds, and return when all is over.

        Calls are what runs on the threads. Streams that hold none, such as those that watch health, are ended after the
        last call and not waited for.
        """
        self._close_streams()
        stopped = self._server.stop(grace)
        until = time.monotonic() + grace
        if self._entrance:
            self._entrance.await_idle(until)
        for pool, threads in self._pools:
            _await_idle(pool, threads, until)
        stopped.wait(min(FLUSH_SECONDS, max(0.0, until - time.monotonic())))
        self._server.stop(0).wait()
        self._health.watchers.close()
        if self._entrance:
            self._entrance.close()
        self._metadata_limit.close()
        for pool, _ in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)

    def _close_streams(self) -> None:
        for streams in self._streams:
            streams.close()


def _options(limits: Limits) -> list[tuple[str, int]]:
    options = dict(_OPTIONS)
    if limits.connection_age:
        options["grpc.max_connection_age_ms"] = int(limits.connection_age * 1000)
        options["grpc.max_connection_age_grace_ms"] = int(limits.connection_grace * 1000)
    options["grpc.max_connection_idle_ms"] = int(limits.connection_idle * 1000)
    if not limits.connection_idle:
        del options["grpc.max_connection_idle_ms"]
    if limits.max_connections:
        options["grpc.max_allowed_incoming_connections"] = limits.max_connections
    return list(options.items())


def _terms(limits: Limits) -> Terms:
    return Terms(
        overloaded=final_status(Overloaded(1.0)),
        request_missing=final_status(RequestMissing()),
        too_late=final_status(DeadlineTooShort()),
        stopping=final_status(ShuttingDown()),
        unforeseen=lambda method: rpc_status.to_status(unforeseen(method)),
        most_working=limits.max_calls,
        default_time=limits.default_deadline,
    )


def _await_idle(pool: ThreadPoolExecutor, threads: int, until: float) -> None:
    """Return when everything that was submitted to the pool is done, or when time is up."""
    if time.monotonic() >= until:
        return
    # Once every thread has come to the barrier, none is left with anything that was in line before it.
    barrier = threading.Barrier(threads + 1)
    for _ in range(threads):
        pool.submit(barrier.wait)
    with contextlib.suppress(threading.BrokenBarrierError):
        barrier.wait(max(0.0, until - time.monotonic()))
