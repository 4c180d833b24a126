"""Anyone may watch revocations, so anyone may open streams without end and read nothing. Others do not notice."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from authapi.v1 import trust_service_pb2 as api
from sqlalchemy import Engine

from authservice import bootstrap
from authservice.config import Settings
from authservice.storage.engine import open_engine
from authservice.transport.streams import watchers
from tests.conftest import Served, serve_in_process
from tests.faults.processes import wait_until
from tests.rpc.rude_client import RudeClient, rude_client
from tests.rpc.trust.watching import SECONDS, Watch, add_rules, watching

WATCH = "/authapi.v1.TrustService/WatchRevocations"
ATTACKERS = 150
ROUNDS = 5
FIRST_ANSWER = 400
"""A window that takes the first answer of a stream, which brings the keys, and no second one or third."""

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@dataclass
class Stage:
    """A server and its database."""

    service: bootstrap.Service
    served: Served
    port: int
    engine: Engine

    def revoke(self) -> str:
        """End a session, and return it."""
        (session,) = map(str, add_rules(self.engine, 1, self.service.parts.clock()))
        self.served.feeding.wake()
        return session


@pytest.fixture
def stage(settings: Settings, service: bootstrap.Service) -> Iterator[Stage]:
    served, port = serve_in_process(service, max_watchers=1000)
    engine = open_engine(settings.database_address().get_secret_value(), pool_size=2)
    yield Stage(service, served, port, engine)
    served.stop(0)
    engine.dispose()


class Attack:
    """Streams over some connections that read no more than a window of bytes and are opened again when they end."""

    def __init__(self, port: int, connections: int, window: int) -> None:
        self.reopened = 0
        self._is_over = False
        self.clients: list[RudeClient] = []
        for number in range(connections):
            self.clients.append(RudeClient(port, window, lambda _, number=number: self._reopen(number)))  # type: ignore[misc]
        for number in range(ATTACKERS):
            self.clients[number % connections].call(WATCH)

    def _reopen(self, number: int) -> None:
        if not self._is_over:
            self.reopened += 1
            self.clients[number].call(WATCH)

    def __enter__(self) -> "Attack":
        return self

    def __exit__(self, *unused: object) -> None:
        self._is_over = True
        for client in self.clients:
            client.close()


def reaction(stage: Stage, watch: Watch) -> float:
    """Return after how many seconds a watcher knows of a revocation."""
    session = stage.revoke()
    begin = time.monotonic()
    watch.hear_until(lambda: session in watch.sessions)
    return time.monotonic() - begin


@pytest.mark.parametrize("window", [0, FIRST_ANSWER])
@pytest.mark.parametrize("connections", [1, 30])
def test_s5_who_reads_hears_in_time_and_newcomers_get_in_whoever_else_reads_nothing(
    stage: Stage, connections: int, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchers, "NEWCOMER_SECONDS", 0.5)
    with watching(stage.port) as established:
        established.hear_view()
        while time.monotonic() - established.begin < 2:
            established.hear()
        with Attack(stage.port, connections, window) as attack:
            time.sleep(1)
            times, joins = [], []
            for _ in range(ROUNDS):
                times.append(reaction(stage, established))
                begin = time.monotonic()
                with watching(stage.port) as newcomer:
                    newcomer.hear_view()
                joins.append(time.monotonic() - begin)
                # The new one takes its time; meanwhile the other must not fall behind.
                established.hear_until(lambda: established.age < 1)
            assert attack.reopened > ATTACKERS / 2
            print(
                f"S5: {ATTACKERS} on {connections} connections, window {window}, opened {attack.reopened} times again; "
                f"heard after {max(times):.2f} s at most, got in within {max(joins):.2f} s"
            )
    assert max(times) < 1
    assert max(joins) < 5
    wait_until(lambda: stage.served.server.open_streams == 0, SECONDS, "all to be forgotten")


def test_s5_one_connection_that_fills_the_places_of_its_host_is_refused_and_another_is_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchers, "UNREAD_PER_HOST", 20)
    with rude_client(stage.port) as client:
        for _ in range(60):
            client.call(WATCH)
        wait_until(lambda: len(client.ended) >= 40, SECONDS, "all but 20 to be refused")
        with watching(stage.port) as honest:
            assert honest.hear_view()[-1].part == api.WATCH_PART_SNAPSHOT_END
