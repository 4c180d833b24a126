"""Connections come of age and are replaced: no call fails of it, and nobody's view of what is revoked grows old."""

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc
from authclient import Observer, Session, Trust
from authclient._judging.verified import Ask

from authservice.domain.tokens import SessionTokens
from tests.faults.aging import AGES, log_in, was_cut_rightly
from tests.faults.processes import ServerProcess, connections_to, running_server, wait_until
from tests.faults.seeding import Seeder
from tests.observed import login, refresh, verify

CUTS = 3
"""How often the stream of the watcher has to be cut before the test is content."""
FRESH_SECONDS = 5.0
"""Half of what a rule lets a view age unless it says otherwise."""
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
Caller = Callable[[], object]

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture(params=["auto", "off"])
def server(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server(database_url, tmp_path / "server", entrance=request.param, **AGES) as server:
        yield server


class Cuts(Observer):
    """Counts how often the stream was cut."""

    def __init__(self) -> None:
        self.count = 0

    def disconnected(self, why: str) -> None:
        self.count += 1


def callers(server: ServerProcess, trust: Trust, tokens: list[SessionTokens], stack: ExitStack) -> Iterator[Caller]:
    """Yield functions that make one call each. Whatever they raise is a call that has failed."""

    def stub() -> rpc.AuthServiceStub:
        channel = grpc.insecure_channel(f"127.0.0.1:{server.port}", OWN_CONNECTION)
        return rpc.AuthServiceStub(stack.enter_context(channel))

    alive, refreshed = tokens
    chain = [refreshed.refresh_token]
    session = stack.enter_context(Session(f"127.0.0.1:{server.port}"))
    log_in(session, "ada")
    for connection in (stub(), stub(), stub()):
        yield functools.partial(verify, connection, alive.access_token)
    for connection in (stub(), stub()):  # With a hash each, so that one is under way at every moment.
        yield functools.partial(login, connection, "ada")
    refreshing = stub()
    yield lambda: chain.append(refresh(refreshing, chain[-1]).refresh_token)
    yield lambda: session.replace(session.access_token())
    yield lambda: trust.ask(Ask(alive.access_token), 5.0)


def calling(call: Caller, over: threading.Event, answers: list[int], wrong: list[str]) -> None:
    """Make calls until all is over."""
    while not over.is_set():
        begin = time.monotonic()
        try:
            call()
            answers.append(1)
        except Exception as error:
            if not was_cut_rightly(begin):
                wrong.append(repr(error))


def test_no_call_fails_and_no_view_grows_old_when_connections_come_of_age(server: ServerProcess, seeds: Seeder) -> None:
    tokens = seeds.sessions(seeds.user("ada"), 2)
    over, cuts = threading.Event(), Cuts()
    answers: list[int] = []
    wrong: list[str] = []
    oldest = 0.0
    seen: set[str] = set()

    def is_over() -> bool:
        nonlocal oldest
        oldest = max(oldest, trust.view_age())
        seen.update(connections_to(server.port))
        return cuts.count >= before + CUTS

    with ExitStack() as stack:
        trust = stack.enter_context(Trust(f"127.0.0.1:{server.port}", audience="internal", observer=cuts))
        assert trust.wait_until_ready(10)
        calls = list(callers(server, trust, tokens, stack))
        before = cuts.count  # Logging in may have taken longer than a connection lives.
        threads = [threading.Thread(target=calling, args=(call, over, answers, wrong)) for call in calls]
        for thread in threads:
            thread.start()
        try:
            took = wait_until(is_over, 60, f"{CUTS} cuts of the stream")
        finally:
            over.set()
            for thread in threads:
                thread.join()
    print(f"{len(answers)} calls on {len(seen)} connections in {took:.0f} s; the view was {oldest:.2f} s old at most")
    assert wrong == []
    assert len(seen) > 3 * len(calls), "connections are replaced"
    assert oldest < FRESH_SECONDS
