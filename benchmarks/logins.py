"""Login beside bare bcrypt, and what becomes of Verify while logins saturate the machine."""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from multiprocessing import get_context

import bcrypt

from benchmarks.auth_calls import AUTH, VERIFY
from benchmarks.bench import IN_FLIGHT, Bench, Calls, auth_server, see_once
from benchmarks.flood import BURST_SECONDS, flood_until_told
from benchmarks.frames import Request, encoded
from benchmarks.processes import ALL_CORES, OTHER_CORES, Serving
from benchmarks.rows import Row, Spread
from benchmarks.seeding import login_request

LOGIN = f"{AUTH}/Login"
LOGIN_STRETCH = 2.5
"""How much longer logins are measured than other calls: at seven a second, less would count too few."""
LOGIN_SECONDS = 60
"""How long a login may take. Hashing stands back behind whatever else is busy on the machine."""
CALLERS_PER_CORE = (6, 4)
SESSIONS = 2000


def measure_logins(bench: Bench) -> Iterator[Row]:
    """Yield Login beside bare bcrypt on every core, then Verify with and without a flood of logins."""
    os.sched_setaffinity(0, ALL_CORES)
    settings, seeded = bench.seeded("sqlite", "logins", min(bench.sessions, SESSIONS))
    logins: list[Request] = [(login_request(), None)]
    with auth_server(settings, ALL_CORES) as server:
        yield from _beside_bcrypt(replace(bench, seconds=bench.seconds * LOGIN_STRETCH), server, logins)
        see_once(server, VERIFY, seeded.verify_requests())
        yield from _beside_logins(bench, server, seeded.verify_requests(), logins)
    os.sched_setaffinity(0, OTHER_CORES)


def _beside_bcrypt(bench: Bench, server: Serving, logins: Sequence[Request]) -> Iterator[Row]:
    calls = Calls(server, LOGIN, cycle(encoded(LOGIN, logins, LOGIN_SECONDS)))
    for callers in CALLERS_PER_CORE:
        in_flight = callers * len(ALL_CORES)
        pairs = [
            (_bare_bcrypt(bench.bcrypt_cost, bench.seconds), bench.measure(calls, in_flight))
            for _ in range(bench.rounds)
        ]
        base = Spread.of(rate for rate, _ in pairs)
        row = Row.of("Login, sqlite, all cores", in_flight, [measured for _, measured in pairs])
        ratios = (measured.rate / rate for rate, measured in pairs)
        yield row.beside(ratios, f"bare bcrypt, cost {bench.bcrypt_cost} ({base.median:.1f}/s)")


def _bare_bcrypt(cost: int, seconds: float) -> float:
    """Return hashes per second on all cores, with nothing else."""
    digest, salt = b"x" * 44, bcrypt.gensalt(cost)
    begin = time.perf_counter()

    def work(_: int) -> int:
        count = 0
        while time.perf_counter() < begin + seconds:
            bcrypt.hashpw(digest, salt)
            count += 1
        return count

    with ThreadPoolExecutor(len(ALL_CORES)) as threads:
        count = sum(threads.map(work, ALL_CORES))
    return count / (time.perf_counter() - begin)


def _beside_logins(
    bench: Bench, server: Serving, requests: Sequence[Request], logins: Sequence[Request]
) -> Iterator[Row]:
    verify = Calls.again_and_again(server, VERIFY, requests)
    for in_flight in IN_FLIGHT:
        alone, beside, answered = [], [], list[int]()
        for _ in range(bench.rounds):
            alone.append(bench.measure(verify, in_flight))
            with _flooding(server.port, logins, answered, min(BURST_SECONDS, bench.seconds)):
                beside.append(bench.measure(verify, in_flight))
        base = Row.of("Verify alone, sqlite, all cores", in_flight, alone)
        yield base
        row = Row.of("Verify beside a login flood", in_flight, beside)
        assert row.p99
        assert base.p99
        note = f"alone; p99 {row.p99 / base.p99:.1f} x; {sum(answered)} logins meanwhile"
        yield row.beside((after.rate / before.rate for before, after in zip(alone, beside, strict=True)), note)


@contextmanager
def _flooding(port: int, logins: Sequence[Request], answered: list[int], burst: float) -> Iterator[None]:
    """Log in from another process while the block runs, far more often than can be answered; note how often it was."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=flood_until_told, args=(port, encoded(LOGIN, logins), there, burst))
    process.start()
    there.close()
    try:
        here.recv()  # It begins.
        yield
        here.send("enough")
        count = here.recv()
        if not count:
            raise RuntimeError("no login was answered in a flood of them; the figures would be worthless")
        answered.append(count)
    finally:
        process.terminate()
        process.join()
