"""A server that is stopped without being ended (SIGSTOP) is left for another one of its name."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from authapi.v1.rule_pb2 import Rule
from authclient import Trust
from google.protobuf.duration_pb2 import Duration

from tests.clients.guarded import OK, PUBLIC, SIGNED_IN, Guarded, handler
from tests.clients.names import NameServer
from tests.clients.scripted import bearer
from tests.faults.processes import ServerProcess, two_running_servers, wait_until
from tests.faults.seeding import Seeder
from tests.gateway import Gateway

SOON = 30.0
PROMISED = 15.0
"""Seconds within which the server has to be left."""

pytestmark = [
    pytest.mark.parametrize("backend", ["mariadb"]),
]


@pytest.fixture
def servers(database_url: str, seeds: Seeder, tmp_path: Path) -> Iterator[list[ServerProcess]]:
    """Yield two servers of one database. The seeder goes first, so that it makes the keys."""
    with two_running_servers(tmp_path, database_url) as servers:
        yield servers


class Callers:
    """Threads that call a method again and again, and note how long it took and how it ended."""

    def __init__(self, served: Guarded, name: str, token: str, threads: int) -> None:
        self.took: list[float] = []
        self.outcomes: set[str | None] = set()
        self._served, self._name, self._metadata = served, name, bearer(token)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(threads)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        while not self._over.wait(0.02):  # The pace of calling.
            begin = time.monotonic()
            done = self._served.call("unary_unary", name=self._name, metadata=self._metadata, timeout=SOON)
            self.took.append(time.monotonic() - begin)
            self.outcomes.add(None if done.code is OK else done.reason or done.code.name)


def test_a_stopped_server_is_left_and_holds_up_nobody_who_needs_no_answer(
    servers: list[ServerProcess], seeds: Seeder
) -> None:
    """`buy` asks Verify each time, by more callers than the service has threads; `look` is public."""
    token = seeds.sessions(seeds.user("ada"), 1)[0].access_token
    with ExitStack() as stack:
        first = stack.enter_context(Gateway(servers[0].port, host="127.0.0.2"))
        second = stack.enter_context(Gateway(servers[1].port, host="127.0.0.3", port=first.port))
        names = NameServer()
        stack.callback(names.close)
        names.answer = "127.0.0.2,127.0.0.3"
        address = f"dns://{names.address}/auth.test:{first.port}"
        trust = stack.enter_context(Trust(address, audience="internal", insecure=True))
        assert trust.wait_until_ready(SOON)
        assert (first.taken, second.taken) == (1, 0)
        rules = {"buy": Rule(authenticated=True, max_staleness=Duration()), "read": SIGNED_IN, "look": PUBLIC}
        answer = handler("unary_unary", lambda request, _context: request)
        served = stack.enter_context(Guarded(trust, dict.fromkeys(rules, answer), rules, threads=16))
        look = stack.enter_context(Callers(served, "look", token, 1))
        read = stack.enter_context(Callers(served, "read", token, 1))
        buy = stack.enter_context(Callers(served, "buy", token, 40))
        wait_until(lambda: len(buy.took) > 100, SOON, "calm")
        assert buy.outcomes == {None}
        os.killpg(servers[0].pid, signal.SIGSTOP)
        stopped = time.monotonic()
        wait_until(lambda: "VERIFICATION_UNAVAILABLE" in buy.outcomes, SOON, "calls that are not answered")
        buy.outcomes.clear()
        wait_until(lambda: None in buy.outcomes and trust.view_age() < 1.5, SOON, "the other server")
        took = time.monotonic() - stopped
        print(f"left after {took:.1f} s; who only looks waited {max(look.took):.2f} s")
        assert took < PROMISED
        buy.outcomes.clear()
        done = len(buy.took) + 100
        wait_until(lambda: len(buy.took) > done, SOON, "calm again")
        assert buy.outcomes == {None}
        assert read.outcomes == look.outcomes == {None}
    assert max(look.took) < 5.0
