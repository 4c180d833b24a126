"""Services that check tokens by themselves, while the authentication server dies, stands still or changes its keys."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc
from authclient import Trust, reason_of
from authclient._judging import guard
from authclient._tokens.grammar import header
from uuid6 import uuid7

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.domain.session import Opening
from authservice.domain.signing_key import RotationPlan
from authservice.domain.tokens import SessionTokens
from authservice.ports import last_counts
from authservice.security import key_ring
from authservice.serving.housekeeping import Chore, Housekeeping
from authservice.usecases.steps.open_session import new_session
from tests.clients.guarded import Guarded, handler
from tests.clients.scripted import bearer
from tests.conftest import CHEAPEST, RecordedAudit, serve_in_process
from tests.examples.shops import orders_pb2, orders_pb2_grpc
from tests.faults.processes import running_server, two_running_servers, wait_until
from tests.faults.seeding import SECONDS, Seeder
from tests.observed import login, logout, register

SOON = 10.0
LIMIT = 2.0
"""Seconds that the knowledge of revocations may be old, in place of ten, so that the tests are short."""
HEARTBEAT = 1.0
"""Seconds that it may be old while all is well."""
LEEWAY = 30.0
ROTATIONS = int(os.environ.get("AUTHSERVICE_TEST_ROTATIONS", "5"))
ROOT = Path(__file__).parents[2]


class Call(NamedTuple):
    """How a call ended. `began` and `ended` are of the monotonic clock."""

    began: float
    ended: float
    status: str
    reason: str | None


class Service:
    """A guarded service in this process."""

    def __init__(self, guarded: Guarded, trust: Trust) -> None:
        self.trust = trust
        self._guarded = guarded

    def call(self, token: str) -> Call:
        """Make one call."""
        began = time.monotonic()
        done = self._guarded.call("unary_unary", name="buy", metadata=bearer(token))
        return Call(began, time.monotonic(), done.code.name, done.reason)


@contextmanager
def service_of(port: int, **options: Any) -> Iterator[Service]:
    """Yield a service that trusts the server on a port and knows what that knows."""
    handlers = {"buy": handler("unary_unary", lambda _request, _context: b"done")}
    with Trust(f"127.0.0.1:{port}", audience="internal", **options) as trust:
        assert trust.wait_until_ready(SOON)
        with Guarded(trust, handlers) as guarded:
            yield Service(guarded, trust)


class Load:
    """Calls with one token, again and again, until the end of the block."""

    def __init__(self, call: Callable[[str], Call], token: str) -> None:
        self.calls: list[Call] = []
        self._call, self._token = call, token
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(0.005):
            self.calls.append(self._call(self._token))

    def of(self, status: str) -> list[Call]:
        """Return the calls that ended so."""
        return [call for call in self.calls if call.status == status]


def sessions_of(seeds: Seeder, count: int) -> list[SessionTokens]:
    """Return new sessions of a new user."""
    return seeds.sessions(seeds.user("ada"), count)


@pytest.mark.parametrize("backend", ["sqlite"])
def test_kill_9_of_the_server_refuses_no_valid_token_in_the_limit_and_lets_no_revoked_one_pass_after_it(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    valid, ended = (session.access_token for session in sessions_of(seeds, 2))
    with (
        running_server(database_url, tmp_path / "server") as server,
        service_of(server.port, max_staleness=LIMIT) as service,
        Load(service.call, valid) as good,
        Load(service.call, ended) as revoked,
    ):
        wait_until(lambda: len(good.of("OK")) > 20 and len(revoked.of("OK")) > 20, SOON, "calls before the crash")
        with server.stub() as stub:
            assert logout(stub, ended) == 1
        logged_out_at = time.monotonic()
        server.kill_all()
        wait_until(lambda: service.trust.view_age() > LIMIT, SOON, "a view that is too old")
        wait_until(lambda: good.calls[-1].status == "UNAVAILABLE", SOON, "the first refusal")
        server.start()
        back_at = time.monotonic()
        wait_until(lambda: good.calls[-1].status == "OK" and good.calls[-1].began > back_at, SOON, "calls afterwards")
    early = [call for call in good.calls if call.status != "OK" and call.ended < logged_out_at + LIMIT - HEARTBEAT]
    late = [call for call in revoked.of("OK") if call.began > logged_out_at + LIMIT]
    print(
        f"{len(good.calls)} calls with a valid token, {len(early)} refused early; {len(late)} late with a revoked one"
    )
    assert early == []
    assert late == []
    assert {call.status for call in good.calls} == {"OK", "UNAVAILABLE"}
    assert {call.reason for call in good.of("UNAVAILABLE")} == {"VERIFICATION_UNAVAILABLE"}
    assert revoked.calls[-1].reason == "SESSION_ENDED"


@pytest.mark.parametrize("backend", ["mariadb"])
def test_a_server_that_stands_still_makes_calls_unavailable_and_then_tells_what_another_one_was_told(
    database_url: str, seeds: Seeder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "ASK_SECONDS", 0.3)  # How long each call waits for a server that says nothing.
    valid, ended = (session.access_token for session in sessions_of(seeds, 2))
    with ExitStack() as stack:
        still, other = stack.enter_context(two_running_servers(tmp_path, database_url))
        service = stack.enter_context(service_of(still.port, max_staleness=LIMIT))
        assert [service.call(token).status for token in (valid, ended)] == ["OK", "OK"]
        os.killpg(still.pid, signal.SIGSTOP)
        with other.stub() as stub:
            assert logout(stub, ended) == 1
        assert service.call(valid).status == "OK", "the view is young enough"
        wait_until(lambda: service.trust.view_age() > LIMIT, SOON, "a view that is too old")
        for token in (valid, ended):
            refused = service.call(token)
            assert (refused.status, refused.reason) == ("UNAVAILABLE", "VERIFICATION_UNAVAILABLE")
        with Load(service.call, ended) as revoked:
            os.killpg(still.pid, signal.SIGCONT)
            wait_until(lambda: service.call(valid).status == "OK", SOON, "calls after the pause")
            wait_until(
                lambda: revoked.calls and revoked.calls[-1].reason == "SESSION_ENDED",
                SOON,
                "the news from the other server",
            )
        assert revoked.of("OK") == []


@pytest.mark.parametrize("backend", ["sqlite"])
def test_y1_a_new_key_each_second_refuses_no_token(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    first, period = 0.5, 1.0
    monkeypatch.setattr(key_ring, "PUBLISHED_FIRST", first)
    plan = RotationPlan(publish_for=timedelta(0))
    auth = bootstrap.assemble(settings, audit=RecordedAudit(), hash_cost=CHEAPEST, rotation=plan)
    server, port = serve_in_process(auth)

    def rotate_twice() -> None:
        # So that the key that signs is brand new: nobody has seen it pending.
        for _ in range(2):
            auth.trust.rotate_keys.rotate(Deadline.after(SOON))

    upkeep = Housekeeping(
        [
            Chore("reload", first / 4, auth.trust.keys.reload),
            Chore("rotate", period, rotate_twice),
        ]
    )
    answers: queue.SimpleQueue[tuple[str, Call]] = queue.SimpleQueue()
    kids: set[str] = set()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, service_of(port) as service:
        stub = rpc.AuthServiceStub(channel)
        register(stub, "ada")
        upkeep.start()

        def log_in_and_call() -> bool:
            token = login(stub, "ada").access_token
            kids.add(str(header(token)["kid"]))
            answers.put((token, service.call(token)))
            return len(kids) > ROTATIONS

        wait_until(log_in_and_call, 3 * period * ROTATIONS + SOON, f"{ROTATIONS} changes of the key that signs")
        upkeep.stop()
        made = [answers.get() for _ in range(answers.qsize())]
        again = [service.call(token) for token, _ in made[:: max(1, len(made) // 50)]]
    server.stop(0)
    auth.close()
    refused = [call for call in [*(call for _, call in made), *again] if call.status != "OK"]
    print(f"Y1: {len(made)} logins signed by {len(kids)} keys, {len(refused)} tokens refused")
    assert refused == []


@pytest.mark.parametrize("backend", ["sqlite"])
def test_w1_a_service_whose_clock_is_a_minute_wrong_judges_as_the_server_would(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    with running_server(database_url, tmp_path / "server") as server, ExitStack() as stack:
        services = [
            stack.enter_context(service_of(server.port, clock=lambda off=off: time.time() + off))
            for off in (-60.0, 0.0, 60.0)
        ]
        now = datetime.now(tz=seeds.service.parts.clock().tzinfo)
        remaining = timedelta(seconds=LEEWAY - 3)
        fresh = _token(seeds, "fresh", now)
        dying = _token(seeds, "dying", now - timedelta(seconds=900) - remaining)
        over = (now - timedelta(seconds=900) - remaining).replace(microsecond=0).timestamp() + 900 + LEEWAY
        refused_at: dict[int, float] = {}

        def one_round() -> bool:
            for number, service in enumerate(services):
                assert service.call(fresh).status == "OK"
                before = time.time()
                call = service.call(dying)
                if call.status == "OK":
                    assert before < over + 0.2, "not a moment longer"
                    assert number not in refused_at
                else:
                    assert call.reason == "TOKEN_EXPIRED"
                    refused_at.setdefault(number, time.time())
            return len(refused_at) == len(services)

        wait_until(one_round, SOON, "the end of the token")
        assert all(at > over - 0.2 for at in refused_at.values()), "and not a moment earlier"


def _token(seeds: Seeder, name: str, issued_at: datetime) -> str:
    """Return a token of a live session, as it would have been issued at another time."""
    opening, user = seeds.service.auth.login.open_session, seeds.user(name)
    first = opening.refresh_tokens.first(uuid7())
    session = new_session(first.session_id, user, Opening(), first, opening.limits, seeds.service.parts.clock())
    opening.database.transact(lambda tx: tx.sessions.add(session), Deadline.after(SECONDS), settle=last_counts)
    return opening.issue_tokens(user, session, first, issued_at).access_token


STOPPABLE = """
import sys
from concurrent.futures import ThreadPoolExecutor
import grpc
from authclient import AuthInterceptor, Trust
from tests.examples.shops import Orders, Shop, orders_pb2, orders_pb2_grpc

trust = Trust(sys.argv[1], audience="internal", max_staleness=float(sys.argv[2]))
server = grpc.server(ThreadPoolExecutor(8), interceptors=[AuthInterceptor(trust, orders_pb2.DESCRIPTOR)])
orders_pb2_grpc.add_OrdersServiceServicer_to_server(Orders(Shop()), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port if trust.wait_until_ready(10.0) else "not ready", flush=True)
server.wait_for_termination()
"""


@contextmanager
def stoppable_service(auth_port: int) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Yield a guarded service in a process of its own, and its port."""
    command = [sys.executable, "-c", STOPPABLE, f"127.0.0.1:{auth_port}", str(LIMIT)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("backend", ["sqlite"])
def test_s2_a_service_that_stood_still_during_a_logout_never_accepts_the_token_again(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    valid, ended = (session.access_token for session in sessions_of(seeds, 2))
    request = orders_pb2.PlaceOrderRequest(article="rope")
    with (
        running_server(database_url, tmp_path / "server") as server,
        stoppable_service(server.port) as (process, port),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub = orders_pb2_grpc.OrdersServiceStub(channel)
        for token in (valid, ended):
            stub.PlaceOrder(request, metadata=bearer(token), timeout=SOON)
        process.send_signal(signal.SIGSTOP)
        with server.stub() as auth:
            assert logout(auth, ended) == 1
        waiting = [stub.PlaceOrder.future(request, metadata=bearer(ended), timeout=SOON) for _ in range(4)]
        time.sleep(LIMIT + 0.5)  # The fault itself: how long the process stands still.
        process.send_signal(signal.SIGCONT)
        waiting += [stub.PlaceOrder.future(request, metadata=bearer(ended), timeout=SOON) for _ in range(200)]
        outcomes = {(call.code().name, reason_of(call.trailing_metadata() or ())) for call in waiting}
        assert outcomes <= {("UNAUTHENTICATED", "SESSION_ENDED"), ("UNAVAILABLE", "VERIFICATION_UNAVAILABLE")}
        wait_until(
            lambda: stub.PlaceOrder.future(request, metadata=bearer(valid), timeout=SOON).code() is grpc.StatusCode.OK,
            SOON,
            "the valid token to be accepted",
        )
