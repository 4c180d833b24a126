"""X6: servers are replaced one after another behind a balancer while connections come of age, and no call fails of it.

Calls are made as docs/errors.md says for the time in which a server restarts: without grpc's own resending, and again
after a pause where the answer was UNAVAILABLE or CANCELLED. `authclient` does that by itself.
"""

import functools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc
from authclient import NEVER_RESENT, Session, Trust
from authclient._judging.verified import Ask

from authservice.domain.tokens import SessionTokens
from tests.faults.aging import AGES, log_in
from tests.faults.balancer import balancing
from tests.faults.processes import ServerProcess, wait_until
from tests.faults.seeding import Seeder
from tests.observed import refresh, verify

CALLS = int(os.environ.get("AUTHSERVICE_TEST_CALLS", "300"))
ATTEMPTS, FIRST_PAUSE = 5, 0.1
"""How often a caller asks at most, and how many seconds it waits before the second time; twice as many for the next."""
STOPPING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
BETWEEN = 50
"""Calls that are answered between two restarts, so that everybody is there again."""
STALLED_SECONDS = 60
Call = Callable[[], object]


class Tally:
    """What became of the calls."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.repeated: Counter[str] = Counter()
        self.failed: list[str] = []
        self.over = threading.Event()

    def keep_calling(self, name: str, call: Call, attempts: int) -> None:
        """Make calls until all is over."""
        while not self.over.is_set():
            try:
                self._call(name, call, attempts)
                self.answered[name] += 1
            except Exception as error:
                self.failed.append(f"{name}: {error!r}")

    def _call(self, name: str, call: Call, attempts: int) -> None:
        for number in range(attempts):
            try:
                call()
                return
            except grpc.RpcError as error:
                if number + 1 == attempts or error.code() not in STOPPING:
                    raise
                self.repeated[error.code().name] += 1
                time.sleep(FIRST_PAUSE * 2**number)


def callers(port: int, tokens: list[SessionTokens], stack: ExitStack) -> Iterator[tuple[str, Call, int]]:
    """Yield what each caller calls, and how often it asks itself."""

    def stub() -> rpc.AuthServiceStub:
        options = [("grpc.use_local_subchannel_pool", 1), *NEVER_RESENT]
        return rpc.AuthServiceStub(stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}", options)))

    alive, refreshed = tokens
    chain = [refreshed.refresh_token]
    refreshing = stub()
    session = stack.enter_context(Session(f"127.0.0.1:{port}"))
    log_in(session, "ada")
    trust = stack.enter_context(Trust(f"127.0.0.1:{port}", audience="internal"))
    assert trust.wait_until_ready(10)
    for _ in range(4):
        yield "Verify", functools.partial(verify, stub(), alive.access_token), ATTEMPTS
    yield "Refresh", lambda: chain.append(refresh(refreshing, chain[-1]).refresh_token), ATTEMPTS
    yield "Session", lambda: session.replace(session.access_token()), 1
    yield "Trust", lambda: trust.ask(Ask(alive.access_token), 5.0), 1


@pytest.mark.timeout(120 + CALLS // 50)
@pytest.mark.parametrize("backend", ["mariadb"])
def test_x6_no_call_fails_while_servers_are_replaced_and_connections_come_of_age(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    tokens = seeds.sessions(seeds.user("ada"), 2)
    tally = Tally()
    with ExitStack() as stack:
        servers = [ServerProcess(database_url, tmp_path / name, (), **AGES) for name in ("a", "b")]
        for server in servers:
            stack.callback(server.kill_all)
            server.start()
        balancer = stack.enter_context(balancing(lambda: [server.port for server in servers]))
        calls = list(callers(balancer.port, tokens, stack))
        threads = [threading.Thread(target=tally.keep_calling, args=call) for call in calls]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            restarts = replacing(servers, tally)
        finally:
            tally.over.set()
            for thread in threads:
                thread.join()
    print(
        f"X6: {len(tally.failed)} failed of {tally.answered.total()} calls {dict(tally.answered)} in "
        f"{time.monotonic() - begin:.0f} s, {restarts} restarts, {balancer.connections} connections; "
        f"asked again: {dict(tally.repeated)}"
    )
    assert tally.failed == []
    assert set(tally.answered) == {name for name, *_ in calls}


def replacing(servers: list[ServerProcess], tally: Tally) -> int:
    """Restart one server after another until there were enough calls; return how often."""
    restarts = 0
    while restarts < len(servers) or tally.answered.total() < CALLS:
        server = servers[restarts % len(servers)]
        server.terminate()
        assert server.exit_code() == 0
        server.start()
        restarts += 1
        enough = tally.answered.total() + BETWEEN
        wait_until(lambda: tally.answered.total() >= enough, STALLED_SECONDS, "calls to be answered")  # noqa: B023
    return restarts
