"""S5 and O4: many who watch, some of whom never read, and what the others and everybody's calls notice of it."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as auth_rpc
from authapi.v1 import trust_service_pb2 as api
from authapi.v1 import trust_service_pb2_grpc as rpc
from sqlalchemy import Engine

from authservice import bootstrap
from authservice.config import Settings
from authservice.storage.engine import open_engine
from authservice.transport.streams import writers
from authservice.transport.streams.watchers import NEWCOMER_WRITERS
from tests.conftest import Served, serve_in_process
from tests.faults.processes import wait_until
from tests.observed import login, register, verify
from tests.rpc.trust.watching import SECONDS, add_rules

WATCHERS = int(os.environ.get("AUTHSERVICE_TEST_WATCHERS", "200"))
CONNECTIONS = 4
ROUNDS = 12
TRIES = 20
CALLS = 150
STEP = 100
SNAPSHOT_RULES = 5000
"""About 250 KB on the wire: several times what a stream takes whose reader does not read."""
PATIENCE = 100.0
"""Seconds. Server and watchers are one process, so a busy machine makes a burst long; the claim is that all hear it."""
BURST = 6000
"""Rules of one moment, as when somebody ends all sessions of a large customer."""
_NARROW = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 65535),
)

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@dataclass
class Crowd:
    """Watchers that read as fast as they can, all in one thread.

    `heard` says per session which of them heard of it when, `lost` how many streams the server ended. Who has lost a
    stream resumes it at once.
    """

    port: int
    _loop: asyncio.AbstractEventLoop
    heard: dict[str, dict[int, float]] = field(default_factory=dict)
    completed: int = 0
    lost: int = 0

    def __post_init__(self) -> None:
        self._channels: list[grpc.aio.Channel] = []
        self._tasks: list[asyncio.Task[None]] = []

    def join(self, count: int) -> None:
        """Open streams, and wait until each has its first view."""
        asyncio.run_coroutine_threadsafe(self._open(count), self._loop).result(SECONDS)
        wait_until(lambda: self.completed >= count, SECONDS, "all watchers have their first view")

    def leave(self) -> None:
        """Hang up."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(SECONDS)

    async def _open(self, count: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options) for _ in range(CONNECTIONS)]
        stubs = [rpc.TrustServiceStub(channel) for channel in self._channels]
        self._tasks = [asyncio.create_task(self._watch(stubs[number % CONNECTIONS], number)) for number in range(count)]

    async def _watch(self, stub: Any, number: int) -> None:
        request = api.WatchRevocationsRequest()
        while True:
            try:
                async for answer in stub.WatchRevocations(request):
                    if answer.part == api.WATCH_PART_DELTA:
                        for rule in answer.revocations:
                            self.heard.setdefault(rule.session_id, {}).setdefault(number, time.monotonic())
                    elif answer.part == api.WATCH_PART_SNAPSHOT_END:
                        self.completed += 1
                    if answer.HasField("resume_point"):
                        request = api.WatchRevocationsRequest(resume_point=answer.resume_point)
            except grpc.aio.AioRpcError:
                self.lost += 1

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self._channels:
            await channel.close()


@dataclass
class Stage:
    """A server, its database, and those who watch."""

    service: bootstrap.Service
    served: Served
    port: int
    engine: Engine

    def spread(self, crowd: Crowd, count: int) -> list[float]:
        """Write rules one after the other and return how many seconds each took to each of the watchers."""
        waits = []
        for _ in range(ROUNDS):
            (session,) = map(str, add_rules(self.engine, 1, self.service.parts.clock()))
            begin = time.monotonic()
            self.served.feeding.wake()
            wait_until(lambda s=session: len(crowd.heard.get(s, ())) >= count, SECONDS, "all have heard")  # type: ignore[misc]
            waits += [moment - begin for moment in crowd.heard[session].values()]
        return waits

    def fill(self, crowd: Crowd, count: int) -> None:
        """Write what a new watcher will get as its snapshot, in steps that delay none of those who watch already."""
        for _ in range(SNAPSHOT_RULES // STEP):
            last = str(add_rules(self.engine, STEP, self.service.parts.clock())[-1])
            self.served.feeding.wake()
            wait_until(lambda s=last: len(crowd.heard.get(s, ())) >= count, SECONDS, "all have heard")  # type: ignore[misc]

    def admitted(self) -> int:
        """Return how many watchers the server knows."""
        return self.served.server.open_streams


@pytest.fixture
def stage(settings: Settings, service: bootstrap.Service) -> Iterator[Stage]:
    served, port = serve_in_process(service, max_watchers=WATCHERS + 100)
    engine = open_engine(settings.database_address().get_secret_value(), pool_size=2)
    yield Stage(service, served, port, engine)
    served.stop(0)
    engine.dispose()


@pytest.fixture(scope="module")
def loop() -> asyncio.AbstractEventLoop:
    """Return a loop that runs in a thread until the end: grpc does not let go of the first one that it has seen."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="crowd", daemon=True).start()
    return loop


@pytest.fixture
def crowd(stage: Stage, loop: asyncio.AbstractEventLoop) -> Iterator[Crowd]:
    crowd = Crowd(stage.port, loop)
    yield crowd
    crowd.leave()


@contextlib.contextmanager
def stalled(port: int, count: int = 1) -> Iterator[list[Any]]:
    """Yield streams of which nobody reads anything, each on a connection of its own."""
    channels = [grpc.insecure_channel(f"127.0.0.1:{port}", options=_NARROW) for _ in range(count)]
    calls: list[Any] = [
        rpc.TrustServiceStub(channel).WatchRevocations(api.WatchRevocationsRequest()) for channel in channels
    ]
    try:
        yield calls
    finally:
        for call, channel in zip(calls, channels, strict=True):
            call.cancel()
            channel.close()


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def servers_threads() -> set[str]:
    """Return the names of the threads of this process, without the one in which asyncio clients wait for grpc."""
    return {thread.name for thread in threading.enumerate() if "_poll_wrapper" not in thread.name}


def native_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def calmest(measure: Callable[[], list[float]], enough: float) -> list[float]:
    """Return what was measured in the first round of which the p99 is small enough, or in the best of many.

    Who delays the others does so in each; what else this machine does, does not.
    """
    rounds = [measure()]
    while len(rounds) < TRIES and p99(rounds[-1]) > enough:
        rounds.append(measure())
    return min(rounds, key=p99)


def test_s5_one_who_never_reads_delays_nobody_and_is_dropped(
    stage: Stage, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = WATCHERS - 1
    crowd.join(others)
    stage.fill(crowd, others)
    before = stage.spread(crowd, others)
    memory, threads = resident_mb(), threading.active_count()
    # It is not to go before its effect has been measured.
    monkeypatch.setattr(writers, "BLOCKED_SECONDS", PATIENCE)
    with stalled(stage.port) as (call,):
        wait_until(lambda: stage.admitted() == others + 1, SECONDS, "the stalled one to be taken")
        during = calmest(lambda: stage.spread(crowd, others), 2 * p99(before) + 0.1)
        assert stage.admitted() == others + 1
        assert threading.active_count() <= threads + 2, "a stream that is stalled holds one of the writers and no more"
        grown = resident_mb() - memory
        monkeypatch.setattr(writers, "BLOCKED_SECONDS", 0.5)
        dropped = wait_until(lambda: stage.admitted() == others, SECONDS, "the stalled one to be dropped")
        after = calmest(lambda: stage.spread(crowd, others), 2 * p99(before) + 0.1)
        # What had been sent may still be read; then the stream ends, without a reason.
        with pytest.raises(grpc.RpcError):
            list(call)
        assert call.code() is grpc.StatusCode.CANCELLED
    times = [f"{p99(each) * 1000:.0f}" for each in (before, during, after)]
    print(f"S5: p99 of {others} others {' / '.join(times)} ms before / during / after; dropped in {dropped:.1f} s")
    print(f"S5: {grown:.1f} MB more with one stalled; {crowd.lost} streams of the others were ended")
    assert p99(during) <= 2 * p99(before) + 0.1
    assert p99(after) <= 2 * p99(before) + 0.1
    assert grown < 16


def test_s5_more_who_never_read_than_writers_delay_the_others_by_a_moment(stage: Stage, crowd: Crowd) -> None:
    readers = 20
    crowd.join(readers)
    stage.fill(crowd, readers)
    before = stage.spread(crowd, readers)
    with stalled(stage.port, NEWCOMER_WRITERS + 4):
        during = stage.spread(crowd, readers)
        wait_until(lambda: stage.admitted() <= readers + NEWCOMER_WRITERS, 5, "the impatient writers to drop some")
        after = stage.spread(crowd, readers)
    print(f"S5: {NEWCOMER_WRITERS + 4} stalled, max {max(before):.2f} / {max(during):.2f} / {max(after):.2f} s")
    assert max(during) < 1.0
    assert max(after) < 1.0


def test_s5_everybody_hears_of_much_that_is_revoked_at_once(stage: Stage, crowd: Crowd) -> None:
    crowd.join(WATCHERS)
    last = str(add_rules(stage.engine, BURST, stage.service.parts.clock())[-1])
    stage.served.feeding.wake()
    took = wait_until(lambda: len(crowd.heard.get(last, ())) >= WATCHERS, PATIENCE, "all have heard")
    # On a busy machine a write may take long enough to be taken for one that nobody reads; see watchers.py. Who lost a
    # stream has resumed it, or would not have heard the last.
    print(f"S5: {BURST} rules at {WATCHERS} watchers in {took:.1f} s; {crowd.lost} streams ended and were resumed")


def test_o4_open_watch_streams_slow_no_call_down_and_hold_no_threads(stage: Stage, crowd: Crowd) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{stage.port}") as channel:
        stub = auth_rpc.AuthServiceStub(channel)
        register(stub, "ada")
        token = login(stub, "ada").access_token

        def calls() -> list[float]:
            times = []
            for _ in range(CALLS):
                begin = time.monotonic()
                verify(stub, token)
                times.append(time.monotonic() - begin)
            return times

        calls()
        alone = min(p99(calls()) for _ in range(5))
        threads, python_threads = native_threads(), servers_threads()
        crowd.join(WATCHERS)
        assert stage.admitted() == WATCHERS
        watched = p99(calmest(calls, 2 * alone + 0.01))
        grown, python_grown = native_threads() - threads, servers_threads() - python_threads
    print(f"O4: p99 {alone * 1000:.1f} ms alone, {watched * 1000:.1f} ms with {WATCHERS} streams; {grown} more threads")
    assert watched <= 2 * alone + 0.01
    assert {name.rpartition("_")[0] for name in python_grown} <= {"call"}, "they are there or not whoever watches"
    assert len(python_grown) <= 16
    assert grown <= 40
