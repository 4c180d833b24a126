"""More callers than the parts can serve: every one is answered, or told to come back, in time."""

import contextlib
import itertools
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from uuid import UUID

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.domain.session import SessionEnd
from authservice.domain.tokens import SessionTokens
from authservice.ports import Transaction, last_counts
from tests.conftest import CHEAPEST, RecordedAudit, serve_in_process
from tests.faults.seeding import Seeder
from tests.observed import ObservedChannel, Refusal, logout, refusal, verify

CALLERS = int(os.environ.get("AUTHSERVICE_TEST_CALLERS", "100"))
DEADLINE = 2.0
COME_BACK = {
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
Stub = rpc.AuthServiceStub


@contextlib.contextmanager
def served(service: bootstrap.Service, **limits: float) -> Iterator[Stub]:
    """Yield a stub of a server with other limits than usual."""
    server, port = serve_in_process(service, **limits)  # type: ignore[arg-type]
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Stub(ObservedChannel.around(channel))
    finally:
        server.stop(0)


@pytest.fixture
def hold(backend: str, seeds: Seeder, tmp_path: Path) -> Callable[[UUID], contextlib.AbstractContextManager[None]]:
    """Return what keeps the row of a user locked; on SQLite, where there are no rows to lock, the file."""

    @contextlib.contextmanager
    def hold_file(_user_id: UUID) -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(tmp_path / "authservice.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    @contextlib.contextmanager
    def hold_row(user_id: UUID) -> Iterator[None]:
        locked, release = threading.Event(), threading.Event()

        def work(tx: Transaction) -> None:
            tx.sessions.end_all(user_id, SessionEnd.LOGOUT, seeds.service.parts.clock())
            locked.set()
            release.wait(60)
            raise _RolledBack

        def run() -> None:
            with contextlib.suppress(_RolledBack):
                seeds.service.parts.database.transact(work, Deadline.after(60), settle=last_counts)

        holder = threading.Thread(target=run)
        holder.start()
        assert locked.wait(10)
        try:
            yield
        finally:
            release.set()
            holder.join()

    return hold_file if backend == "sqlite" else hold_row


class _RolledBack(Exception):
    """Ends a transaction without a trace."""


def test_o3_a_call_without_a_deadline_is_answered_after_the_servers_own(
    service: bootstrap.Service,
    seeds: Seeder,
    hold: Callable[[UUID], contextlib.AbstractContextManager[None]],
) -> None:
    user = seeds.user("ada")
    tokens = seeds.sessions(user, 1)[0]
    with served(service, default_deadline=DEADLINE) as stub:
        with hold(user.id):
            answer, _ = _log_out(stub, tokens, None)
            assert isinstance(answer, Refusal)
            assert answer.code in COME_BACK, "and that while the lock is held, which it is for a minute"
        assert logout(stub, tokens.access_token) == 1


def test_o5_more_callers_than_connections_are_answered_or_told_to_come_back_in_time(
    settings: Settings,
    seeds: Seeder,
    hold: Callable[[UUID], contextlib.AbstractContextManager[None]],
) -> None:
    user = seeds.user("ada")
    sessions = seeds.sessions(user, CALLERS)
    # Ten connections for sixteen threads.
    small = settings.model_copy(update={"threads": 2, "hash_queue": 0})
    service = bootstrap.assemble(small, audit=RecordedAudit(), hash_cost=CHEAPEST)
    with served(service) as stub, ThreadPoolExecutor(CALLERS) as pool:
        with hold(user.id):
            calls = [pool.submit(_log_out, stub, tokens, DEADLINE) for tokens in sessions]
            outcomes = [call.result() for call in calls]
        codes = Counter(answer.code if isinstance(answer, Refusal) else grpc.StatusCode.OK for answer, _ in outcomes)
        slowest = max(seconds for _, seconds in outcomes)
        print(f"O5: {CALLERS} callers, 10 connections: {dict(codes)}, slowest {slowest:.2f} s")
        assert set(codes) <= COME_BACK
        assert slowest < 2 * DEADLINE, "nobody waits for a connection first, and then as long for the lock"
        _serves_again(stub, sessions)
    service.close()


def test_o5_calls_beyond_the_limit_are_refused_at_once_and_the_others_answered(
    service: bootstrap.Service,
    seeds: Seeder,
    hold: Callable[[UUID], contextlib.AbstractContextManager[None]],
) -> None:
    user = seeds.user("ada")
    limit = 8
    sessions = seeds.sessions(user, 4 * limit)
    with served(service, max_calls=limit) as stub, ThreadPoolExecutor(len(sessions)) as pool:
        with hold(user.id):
            calls = [pool.submit(_log_out, stub, tokens, DEADLINE) for tokens in sessions]
            refused = [call.result() for call in itertools.islice(as_completed(calls, DEADLINE), 3 * limit)]
        answers = [call.result()[0] for call in calls]
        print(f"O5: limit {limit}, {len(sessions)} calls at once, {len(refused)} refused while the others waited")
        for answer, _ in refused:
            assert isinstance(answer, Refusal)
            assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert answers.count(1) == limit
        _serves_again(stub, sessions)


def _serves_again(stub: Stub, sessions: list[SessionTokens]) -> None:
    """Log everybody out, one after another, as soon as the calls in flight are over."""
    deadline = time.monotonic() + 10
    for tokens in sessions:
        while isinstance(answer := _log_out(stub, tokens, DEADLINE)[0], Refusal):
            assert answer.code in COME_BACK
            assert time.monotonic() < deadline, "still refused, long after the cause is gone"
    assert all(refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED" for tokens in sessions)


def _log_out(stub: Stub, tokens: SessionTokens, timeout: float | None) -> tuple[int | Refusal, float]:
    """Return the answer to a Logout and how many seconds it took."""
    metadata = (("authorization", f"Bearer {tokens.access_token}"),)
    begin = time.monotonic()
    try:
        answer: int | Refusal = stub.Logout(api.LogoutRequest(), metadata=metadata, timeout=timeout).ended_sessions
    except grpc.RpcError as error:
        answer = Refusal(error)
    return answer, time.monotonic() - begin
