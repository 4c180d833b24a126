"""Somebody else holds the SQLite file: writes are told to come back, reads go on, and it passes by itself."""

import contextlib
import functools
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.storage.limits import BUSY_SECONDS
from tests.faults.seeding import Seeder
from tests.observed import Refusal, login, logout, refresh, refusal, register, verify

pytestmark = pytest.mark.parametrize("backend", ["sqlite"])
Stub = rpc.AuthServiceStub

SHORT_DEADLINE = 1.0
CALLERS = int(os.environ.get("AUTHSERVICE_TEST_HELD_CALLERS", "12"))

_HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held(file: Path) -> Iterator[None]:
    """Let another process hold the lock for writing inside the block, as a backup tool or a shell may do."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin
    assert holder.stdout
    try:
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        holder.communicate("")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "authservice.db"


def test_k4_while_another_process_holds_the_file_writes_are_unavailable_in_time_and_verify_goes_on(
    stub: Stub, service: bootstrap.Service, file: Path
) -> None:
    seeds = Seeder(service)
    user = seeds.user("ada")
    alive, spent, *ending = seeds.sessions(user, 2 + CALLERS)
    writes: list[Callable[[], object]] = [
        lambda: register(stub, "grace"),
        lambda: login(stub, "ada"),
        lambda: refresh(stub, spent.refresh_token),
        *(functools.partial(logout, stub, tokens.access_token) for tokens in ending),
    ]
    with held(file), ThreadPoolExecutor(len(writes)) as pool:
        begin = time.monotonic()
        waiting = [pool.submit(_timed_refusal, write) for write in writes]
        verifications, slowest = 0, 0.0
        while not all(call.done() for call in waiting):
            asked = time.monotonic()
            assert verify(stub, alive.access_token).user_id == str(user.id)
            assert verify(stub, ending[0].access_token), "its logout was not acknowledged"
            slowest = max(slowest, time.monotonic() - asked)
            verifications += 2
        refusals = [call.result() for call in waiting]
        passed = time.monotonic() - begin
    print(f"K4: writes refused within {passed:.2f} s, {verifications} verifications meanwhile, slowest {slowest:.3f} s")
    for answer, seconds in refusals:
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
        assert answer.retry_after
        assert "locked" not in answer.message
        assert seconds < 2 * BUSY_SECONDS, "nobody waits for another one, and then as long for the file"
    assert slowest < BUSY_SECONDS, "a verification that waits for the lock waits as long as the writes"
    assert register(stub, "grace").user_id
    assert verify(stub, login(stub, "ada").access_token).user_id == str(user.id)
    assert refresh(stub, spent.refresh_token).session_id == str(spent.session_id)
    assert [logout(stub, tokens.access_token) for tokens in ending] == [1] * CALLERS


def test_k4_a_short_deadline_is_kept_and_leaves_nothing_behind_at_a_held_file(
    stub: Stub, service: bootstrap.Service, file: Path
) -> None:
    seeds = Seeder(service)
    tokens = seeds.sessions(seeds.user("ada"), 1)[0]
    metadata = (("authorization", f"Bearer {tokens.access_token}"),)
    with held(file):
        answer, seconds = _timed_refusal(
            lambda: stub.Logout(api.LogoutRequest(), metadata=metadata, timeout=SHORT_DEADLINE)
        )
        assert answer.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        assert seconds < BUSY_SECONDS
    # A caller who gives up does not block the next one. Its own call may still have come to its end.
    assert logout(stub, tokens.access_token) in {0, 1}
    assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED"


def test_k4_a_reader_that_stays_for_long_blocks_nobody(stub: Stub, file: Path) -> None:
    register(stub, "ada")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM sessions").fetchone()
        begin = time.monotonic()
        tokens = login(stub, "ada")
        assert logout(stub, tokens.access_token) == 1
        assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED"
        assert time.monotonic() - begin < BUSY_SECONDS


def _timed_refusal(call: Callable[[], object]) -> tuple[Refusal, float]:
    begin = time.monotonic()
    answer = refusal(call)
    return answer, time.monotonic() - begin
