"""Ten times as many logins as can be hashed: as many as ever are answered, the others are told when to come back."""

import asyncio
import itertools
import os
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from benchmarks import floor
from benchmarks.processes import ALL_CORES, serving
from tests.faults.processes import running_server
from tests.faults.seeding import Seeder
from tests.observed import PASSWORD, Refusal

SECONDS = float(os.environ.get("AUTHSERVICE_TEST_FLOOD_SECONDS", "2"))
"""Of the flood, and of what it is compared with."""
IS_RING = "AUTHSERVICE_TEST_FLOOD_SECONDS" in os.environ
COST = 12 if IS_RING else 10
"""Of bcrypt. With 12, what it takes to refuse the others is little beside what is hashed."""
TIMES = 10
VERIFIES = 100.0
"""A second. Hashing gives way to them, so as many as can be made would leave it no processor."""
CALLERS = 4 * len(os.sched_getaffinity(0))
"""As many logins at a time as keep every core at work."""
Call: TypeAlias = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class Ended:
    """One call: how it ended, None for an answer, and in how many seconds."""

    refusal: Refusal | None
    seconds: float


async def make(call: Call) -> Ended:
    begin = time.monotonic()
    refusal = None
    try:
        await call()
    except grpc.aio.AioRpcError as error:
        refusal = Refusal(error)
    return Ended(refusal, time.monotonic() - begin)


async def again_and_again(call: Call) -> list[Ended]:
    """Make a call after the other for a while."""
    until, ended = time.monotonic() + SECONDS, []
    while time.monotonic() < until:
        ended.append(await make(call))
    return ended


async def at_a_rate(call: Call, rate: float) -> list[Ended]:
    """Make so many calls a second for a while, however long they take."""
    begin, calls = time.monotonic(), []
    for number in itertools.count():
        if (due := begin + number / rate) > begin + SECONDS:
            break
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        calls.append(asyncio.create_task(make(call)))
    return await asyncio.gather(*calls)


def p99(calls: list[Ended]) -> float:
    """Return the seconds that one in a hundred took longer than."""
    return statistics.quantiles([each.seconds for each in calls], n=100)[98]


async def flood(port: int, floor_port: int, token: str) -> None:
    async with (
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        grpc.aio.insecure_channel(f"127.0.0.1:{floor_port}") as another,
    ):
        do_nothing: Any = another.unary_unary(floor.METHOD)
        stub: Any = rpc.AuthServiceStub(channel)

        def login() -> Awaitable[Any]:
            return stub.Login(api.LoginRequest(user_name_or_email="ada", password=PASSWORD), timeout=60)  # type: ignore[no-any-return]

        def verify() -> Awaitable[Any]:
            return stub.Verify(api.VerifyRequest(access_token=token), timeout=60)  # type: ignore[no-any-return]

        def nothing() -> Awaitable[Any]:
            return do_nothing(b"", timeout=60)  # type: ignore[no-any-return]

        alone, floor_alone = await asyncio.gather(at_a_rate(verify, VERIFIES), at_a_rate(nothing, VERIFIES))
        one_by_one = await asyncio.gather(*(again_and_again(login) for _ in range(CALLERS)))
        before = sum(len(calls) for calls in one_by_one) / SECONDS
        logins, beside, floor_beside = await asyncio.gather(
            at_a_rate(login, TIMES * before), at_a_rate(verify, VERIFIES), at_a_rate(nothing, VERIFIES)
        )
        after = await make(verify), await make(login)
    answered = sum(each.refusal is None for each in logins)
    refused = [each for each in logins if each.refusal]
    told = Counter((each.refusal.code.name, each.refusal.reason) for each in refused if each.refusal)
    print(
        f"O1: {before:.0f} logins/s; offered {TIMES} times as many, {answered / SECONDS:.0f}/s answered, {dict(told)}, "
        f"p99 of refusals {p99(refused) * 1000:.0f} ms; p99 of Verify {p99(alone) * 1000:.1f} ms alone, "
        f"{p99(beside) * 1000:.1f} ms beside; of an empty RPC of another server {p99(floor_alone) * 1000:.1f} and "
        f"{p99(floor_beside) * 1000:.1f} ms"
    )
    assert set(told) == {("RESOURCE_EXHAUSTED", "OVERLOADED")}
    assert all(each.refusal.retry_after for each in refused if each.refusal)
    assert len(refused) > len(logins) / 2, "it was no flood"
    assert [each.refusal for each in (*beside, *after)] == [None] * (len(beside) + 2)
    assert answered / SECONDS >= (0.9 if IS_RING else 0.5) * before
    if IS_RING:
        assert p99(refused) <= 0.05
        # The callers share the cores with the servers. What they and the hashes take from everybody shows in a call
        # that does nothing, of a server that hashes nothing, made by the same callers at the same time.
        assert p99(beside) <= max(3 * p99(alone), 2 * p99(floor_beside))


def test_o1_a_flood_of_logins_takes_nothing_from_those_that_can_be_answered(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    token = seeds.sessions(seeds.user("ada"), 1)[0].access_token
    with (
        running_server(database_url, tmp_path / "server", bcrypt_cost=COST) as server,
        serving(["benchmarks.floor", "{port}"], {}, ALL_CORES) as other,
    ):
        asyncio.run(flood(server.port, other.port, token))
