"""How long a logout takes to be known elsewhere."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import grpc
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import auth_service_pb2_grpc as auth_rpc
from authapi.v1 import trust_service_pb2 as api
from authapi.v1 import trust_service_pb2_grpc as rpc
from authclient import reason_of

from benchmarks.bench import Bench, auth_server
from benchmarks.guarded_server import MESSAGE, METHOD
from benchmarks.processes import OTHER_CORES, memory, serving, threads
from benchmarks.rows import Row

GIVE_UP_SECONDS = 10.0
STREAMS_PER_CHANNEL = 50


def measure_logouts_seen(bench: Bench) -> Iterator[Row]:
    """Yield how long after an acknowledged logout another process refuses the token.

    With two replicas the logout goes to one, and the service watches the other. SQLite has but one.
    """
    for backend in bench.databases.backends:
        for replicas in (1,) if backend == "sqlite" else (1, 2):
            yield _measure_logouts_seen(bench, backend, replicas)


def _measure_logouts_seen(bench: Bench, backend: str, replicas: int) -> Row:
    settings, seeded = bench.seeded(backend, f"seen_{replicas}", bench.logouts)
    with ExitStack() as running:
        first = running.enter_context(auth_server(settings))
        watched = running.enter_context(auth_server(settings)) if replicas > 1 else first
        arguments = ["benchmarks.guarded_server", "{port}", "sync", "authclient", f"127.0.0.1:{watched.port}"]
        service = running.enter_context(serving(arguments, {}, OTHER_CORES))
        auth = running.enter_context(grpc.insecure_channel(f"127.0.0.1:{first.port}"))
        guarded = running.enter_context(grpc.insecure_channel(f"127.0.0.1:{service.port}"))
        stub = auth_rpc.AuthServiceStub(auth)
        buy = guarded.unary_unary(METHOD, MESSAGE.SerializeToString, MESSAGE.FromString)
        delays = [_until_refused(stub, buy, token) for token in seeded.access_tokens]
    where = "same replica" if replicas == 1 else "other replica"
    return _delays(f"logout -> refused, {backend}, {where}", delays)


def _until_refused(stub: auth_rpc.AuthServiceStub, buy: Any, token: str) -> float:
    metadata = (("authorization", f"Bearer {token}"),)
    buy(MESSAGE(), metadata=metadata)
    stub.Logout(auth_api.LogoutRequest(), metadata=metadata)
    acknowledged = time.perf_counter()
    while time.perf_counter() < acknowledged + GIVE_UP_SECONDS:
        try:
            buy(MESSAGE(), metadata=metadata)
        except grpc.RpcError as error:
            if reason_of(error.trailing_metadata()) != "SESSION_ENDED":
                raise
            return time.perf_counter() - acknowledged
    raise RuntimeError("a logged-out token was still accepted; the figures would be worthless")


def measure_fan_out(bench: Bench) -> Iterator[Row]:
    """Yield how long after an acknowledged logout the last of many watchers has it, and what they cost the server."""
    settings, seeded = bench.seeded("sqlite", "fan_out", bench.rounds)
    watchers = bench.watchers
    context = get_context("spawn")
    with auth_server(settings) as server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = auth_rpc.AuthServiceStub(channel)
        empty = memory(server.worker)
        here, there = context.Pipe()
        process = context.Process(target=watch_many, args=(server.port, watchers, bench.rounds, there))
        process.start()
        there.close()  # So that its end is heard here.
        assert here.recv() == "ready"
        delays = []
        for token in seeded.access_tokens:
            stub.Logout(auth_api.LogoutRequest(), metadata=(("authorization", f"Bearer {token}"),))
            acknowledged = time.time()
            delays.append(max(0.0, here.recv() - acknowledged))
        full, held = memory(server.worker), threads(server.worker)
        process.join()
    row = _delays(f"logout -> last of {watchers} watchers", delays)
    row.note = f"{full - empty:.1f} MiB more, {held} threads"
    yield row


def watch_many(port: int, watchers: int, rounds: int, report: Connection) -> None:
    """Watch from a process of its own; report when the last watcher has heard of each logout."""
    asyncio.run(_watch_many(port, watchers, rounds, report))


async def _watch_many(port: int, watchers: int, rounds: int, report: Connection) -> None:
    channels = [
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=(("grpc.use_local_subchannel_pool", 1),))
        for _ in range(-(-watchers // STREAMS_PER_CHANNEL))
    ]
    streams: list[Any] = [
        rpc.TrustServiceStub(channels[number % len(channels)]).WatchRevocations(api.WatchRevocationsRequest())
        for number in range(watchers)
    ]
    for stream in streams:
        await stream.read()
    report.send("ready")
    for _ in range(rounds):
        await asyncio.gather(*(_next_rule(stream) for stream in streams))
        report.send(time.time())
    for channel in channels:
        await channel.close()


async def _next_rule(stream: Any) -> None:
    while not (await stream.read()).revocations:
        pass


def _delays(name: str, delays: list[float]) -> Row:
    ordered = sorted(delays)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return Row(name, p50=statistics.median(ordered) * 1000, p99=p99 * 1000)
