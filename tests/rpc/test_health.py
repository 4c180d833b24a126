"""grpc.health.v1 over real connections: what it says, and that nobody who watches it can hold up the server."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from authapi.v1 import trust_service_pb2 as trust_api
from authapi.v1 import trust_service_pb2_grpc as trust_rpc
from grpc_health.v1 import health_pb2 as api
from grpc_health.v1 import health_pb2_grpc as rpc

from authservice import bootstrap
from authservice.transport.streams import health, writers
from tests.conftest import Served, serve_in_process
from tests.faults.processes import wait_until
from tests.observed import Refusal
from tests.rpc.rude_client import RudeClient, rude_client

WATCH = "/grpc.health.v1.Health/Watch"
SECONDS = 10.0
"""How long a test waits before it fails."""
SERVING, NOT_SERVING = api.HealthCheckResponse.SERVING, api.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = api.HealthCheckResponse.SERVICE_UNKNOWN
KNOWN = ("", "authapi.v1.AccountService", "authapi.v1.AuthService", "authapi.v1.TrustService")

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


class Stage:
    """A server, and a client of its health."""

    def __init__(self, served: Served, port: int) -> None:
        self.port = port
        self.server = served.server
        self.health = served.server._health
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", (("grpc.use_local_subchannel_pool", 1),))
        self._stub: Any = rpc.HealthStub(self.channel)

    def check(self, service: str = "") -> int:
        """Ask once."""
        return int(self._stub.Check(api.HealthCheckRequest(service=service), timeout=SECONDS).status)

    def list(self) -> dict[str, int]:
        """Ask for everything."""
        answer = self._stub.List(api.HealthListRequest(), timeout=SECONDS)  # type: ignore[attr-defined]
        return {service: each.status for service, each in answer.statuses.items()}

    def watch(self, service: str = "") -> Any:
        """Open a stream."""
        return self._stub.Watch(api.HealthCheckRequest(service=service), timeout=SECONDS)

    def watchers(self) -> int:
        """Return how many watchers the server knows."""
        return len(self.health.watchers)

    def require_answers(self) -> None:
        """Fail unless the server answers calls of any kind at once."""
        begin = time.monotonic()
        trust_rpc.TrustServiceStub(self.channel).GetSigningKeys(trust_api.GetSigningKeysRequest(), timeout=SECONDS)
        assert self.check() == SERVING
        assert time.monotonic() - begin < 2


@pytest.fixture
def stage(service: bootstrap.Service) -> Iterator[Stage]:
    served, port = serve_in_process(service)
    stage = Stage(served, port)
    yield stage
    stage.channel.close()
    served.stop(0)


def test_check_and_list_say_how_the_services_are(stage: Stage) -> None:
    assert [stage.check(service) for service in KNOWN] == [SERVING] * len(KNOWN)
    assert stage.list() == dict.fromkeys((*KNOWN, health.LIVENESS), SERVING)
    stage.server.set_healthy(False)
    assert [stage.check(service) for service in KNOWN] == [NOT_SERVING] * len(KNOWN)
    assert stage.check(health.LIVENESS) == SERVING
    with pytest.raises(grpc.RpcError) as raised:
        stage.check("orders.v1.Orders")
    assert Refusal(raised.value).code is grpc.StatusCode.NOT_FOUND


def test_a_watcher_hears_each_change_once(stage: Stage) -> None:
    watch = stage.watch("authapi.v1.AuthService")
    assert next(watch).status == SERVING
    stage.server.set_healthy(True)
    stage.server.set_healthy(False)
    assert next(watch).status == NOT_SERVING
    stage.server.set_healthy(True)
    assert next(watch).status == SERVING


def test_a_watcher_of_an_unknown_service_hears_so_and_later_its_status(stage: Stage) -> None:
    watch = stage.watch("orders.v1.Orders")
    assert next(watch).status == SERVICE_UNKNOWN
    stage.health.set("orders.v1.Orders", SERVING)
    assert next(watch).status == SERVING


def test_once_the_server_is_ending_nothing_serves_any_more(stage: Stage) -> None:
    watch = stage.watch()
    assert next(watch).status == SERVING
    stage.server.drain()
    assert next(watch).status == NOT_SERVING
    stage.server.set_healthy(True)
    assert stage.check() == NOT_SERVING
    assert next(stage.watch()).status == NOT_SERVING


def test_one_who_never_reads_and_one_who_hangs_up_hold_nothing_up(stage: Stage) -> None:
    honest = stage.watch()
    assert next(honest).status == SERVING
    with rude_client(stage.port, window=65535) as leaving, rude_client(stage.port) as deaf:
        leaving.call(WATCH)
        wait_until(lambda: leaving.heard, SECONDS, "the first status")
        deaf.call(WATCH)
        wait_until(lambda: stage.watchers() == 3, SECONDS, "all to be taken")
        stage.require_answers()
        leaving.close()
        wait_until(lambda: stage.watchers() == 2, SECONDS, "the one that hung up to be forgotten")
        stage.require_answers()
        stage.server.set_healthy(False)
        assert next(honest).status == NOT_SERVING
        stage.server.set_healthy(True)
        assert next(honest).status == SERVING
        stage.require_answers()
        assert deaf.heard == 0


def test_many_who_never_read_are_dropped_and_delay_the_others_by_a_moment(stage: Stage) -> None:
    honest = stage.watch()
    assert next(honest).status == SERVING
    with rude_client(stage.port) as deaf:
        for _ in range(10 * health.WRITERS):
            deaf.call(WATCH)
        wait_until(lambda: stage.watchers() > health.WRITERS, SECONDS, "some to be taken")
        begin = time.monotonic()
        stage.server.set_healthy(False)
        assert next(honest).status == NOT_SERVING
        assert time.monotonic() - begin < 2.5, "half of what it takes to wait for each of them in turn"
        wait_until(lambda: stage.watchers() <= health.WRITERS + 1, SECONDS, "those in line to be dropped")


def test_one_who_never_reads_is_dropped_even_if_nobody_waits(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "BLOCKED_SECONDS", 0.5)
    with rude_client(stage.port) as deaf:
        call = deaf.call(WATCH)
        wait_until(lambda: call in deaf.ended, SECONDS, "the stream to end")
    assert stage.watchers() == 0


def test_no_more_are_admitted_than_there_is_room_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MOST_WATCHERS", 2)
    streams = [stage.watch() for _ in range(2)]
    assert [next(stream).status for stream in streams] == [SERVING] * 2
    with pytest.raises(grpc.RpcError) as raised:
        next(stage.watch())
    refusal = Refusal(raised.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    streams[0].cancel()
    wait_until(lambda: stage.watchers() == 1, SECONDS, "room")
    assert next(stage.watch()).status == SERVING


def test_a_thousand_who_come_and_go_leave_nothing_behind(stage: Stage) -> None:
    honest = stage.watch()
    assert next(honest).status == SERVING
    threads = threading.active_count()
    many = health.MOST_WATCHERS // 2
    for connections in (5, 10):
        with contextlib.ExitStack() as leaving:
            clients = [leaving.enter_context(rude_client(stage.port, window=65535)) for _ in range(connections)]
            for number in range(many):
                clients[number % connections].call(WATCH)
                if number % 50 == 0:
                    stage.server.set_healthy(number % 100 == 0)
            # On a busy machine one may not read in time, and is dropped.
            wait_until(lambda: stage.watchers() + _ended(clients) > many, SECONDS, "all to be taken")  # noqa: B023
        wait_until(lambda: stage.watchers() == 1, SECONDS, "all to be forgotten")
    stage.server.set_healthy(True)
    stage.require_answers()
    assert threading.active_count() <= threads + 16, "the threads for calls"
    stage.server.set_healthy(False)
    wait_until(lambda: next(honest).status == NOT_SERVING, SECONDS, "the news")


def _ended(clients: list[RudeClient]) -> int:
    return sum(len(client.ended) for client in clients)
