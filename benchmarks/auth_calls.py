"""What the calls of AuthService cost: beside an empty one, and beside bare bcrypt."""

import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import bcrypt

from benchmarks.flood import Flood, Request, flood_until
from benchmarks.processes import ALL_CORES, SERVER_CORES, Serving, serving
from benchmarks.rows import COST, NONE, SERVICE, Bench, Row, auth_server, summary
from benchmarks.seeding import Seeded, login_request, seed

LOGIN_SECONDS = 5.0
"""At seven logins a second, less would count too few."""


def measure_calls(bench: Bench, backend: str, url: str) -> Iterator[Row]:
    """Yield Verify, Refresh and Logout on one database beside the empty RPC, round by round in turn."""
    settings = bench.settings(url, backend)
    seeded = seed(settings, bench.sessions)
    floor_command = ["benchmarks.floor", "{port}", str(settings.threads)]
    with serving(floor_command, {}, SERVER_CORES) as floor, auth_server(settings, SERVER_CORES) as server:
        verify, empty = seeded.verify_requests(), [(b"", None)]
        # Each token for the first time: its signature is checked, and never again.
        yield summary(f"Verify, {backend}, first sight", [bench.flood(server, "Verify", verify, once=True)])
        bench.flood(floor, "Verify", empty)
        pairs = [
            (bench.flood(floor, "Verify", empty), bench.flood(server, "Verify", verify)) for _ in range(bench.rounds)
        ]
        base = summary(f"empty RPC (beside {backend})", [pair[0] for pair in pairs])
        yield base
        row = summary(f"Verify, {backend}", [pair[1] for pair in pairs])
        row.ratio = statistics.median(pair[1][0].rate / pair[0][0].rate for pair in pairs)
        row.against = "empty RPC"
        yield row
        for method, requests in (("Refresh", seeded.refresh_requests()), ("Logout", seeded.logout_requests())):
            yield once_each(bench, server, method, backend, requests, base)


def once_each(bench: Bench, server: Serving, method: str, backend: str, requests: Sequence[Request], base: Row) -> Row:
    """Return a row for a method whose requests can be used once each: every round gets its share of them."""
    share = len(requests) // bench.rounds
    parts = [requests[number * share : (number + 1) * share] for number in range(bench.rounds)]
    row = summary(f"{method}, {backend}", [bench.flood(server, method, part, once=True) for part in parts])
    row.ratio, row.against = row.rate / base.rate, "empty RPC"
    return row


def measure_logins(bench: Bench) -> Iterator[Row]:
    """Yield Login beside bare bcrypt on every core, then Verify with and without a flood of logins."""
    settings = bench.settings(f"sqlite:///{bench.folder / 'logins.db'}", "logins")
    seeded = seed(settings, min(bench.sessions, 2000))
    logins = [(login_request(), None)]
    seconds = max(bench.seconds, LOGIN_SECONDS)
    with auth_server(settings, ALL_CORES) as server:
        pairs = []
        for _ in range(bench.rounds):
            bare = bare_bcrypt(seconds)
            flood = Flood(server.port, f"{SERVICE}/Login", logins, connections=4, in_flight=3)
            pairs.append((bare, flood.run(seconds)))
        bare_rate = statistics.median(rate for rate, _ in pairs)
        yield Row(f"bare bcrypt, cost {COST}, {len(ALL_CORES)} cores", bare_rate, NONE, NONE, NONE)
        row = summary("Login, sqlite", [(outcome, NONE) for _, outcome in pairs])
        row.ratio = statistics.median(outcome.rate / rate for rate, outcome in pairs)
        row.against = "bare bcrypt"
        yield row
        yield from measure_beside_logins(bench, server, seeded, logins)


def measure_beside_logins(bench: Bench, server: Serving, seeded: Seeded, logins: Sequence[Request]) -> Iterator[Row]:
    """Yield Verify alone, and while more logins arrive than the machine can do."""
    verify = seeded.verify_requests()
    alone, beside = [], []
    bench.flood(server, "Verify", verify)
    for _ in range(bench.rounds):
        alone.append(bench.flood(server, "Verify", verify))
        with flooding(server.port, logins):
            beside.append(bench.flood(server, "Verify", verify))
    base = summary("Verify alone, all cores, sqlite", alone)
    yield base
    row = summary("Verify beside a login flood", beside)
    row.ratio, row.against = row.rate / base.rate, f"alone; p99 {row.p99 / base.p99:.1f} x"
    yield row


@contextmanager
def flooding(port: int, requests: Sequence[Request]) -> Iterator[None]:
    """Log in from another process, far more often than can be answered, while the block runs."""
    context = get_context("spawn")
    stop = context.Event()
    process = context.Process(target=flood_until, args=(port, f"{SERVICE}/Login", requests, stop))
    process.start()
    try:
        yield
    finally:
        stop.set()
        process.join()


def bare_bcrypt(seconds: float) -> float:
    """Return hashes per second on all cores, with nothing else."""
    digest, salt = b"x" * 44, bcrypt.gensalt(COST)
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
