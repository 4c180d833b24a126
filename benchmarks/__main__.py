"""`python -m benchmarks`: measure everything side by side and print the table.

Options: --seconds per measurement, --rounds (medians are printed), --sessions, --backends. The server runs on one core,
the load and the database on the others; for logins every core takes part.
"""

import argparse
import base64
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import bcrypt

from authservice.config import Settings
from benchmarks.flood import Flood, Outcome, Request, flood_until
from benchmarks.processes import ALL_CORES, OTHER_CORES, SERVER_CORES, Serving, serving
from benchmarks.seeding import Seeded, login_request, seed
from tests.mariadb import MariaDb, find_server

SERVICE = "/authapi.v1.AuthService"
MASTER_KEY = base64.b64encode(os.urandom(32)).decode()
COST = 12
LOGIN_SECONDS = 5.0
"""At seven logins a second, less would count too few."""
NONE = float("nan")
"""A figure that a row does not have."""

Measured: TypeAlias = tuple[Outcome, float]
"""An outcome, and the server's processor time per answer in microseconds."""


@dataclass(slots=True)
class Row:
    """One line of the table: medians over the rounds. `ratio` is to the floor that `against` names."""

    name: str
    rate: float
    p50: float
    p99: float
    cpu: float
    ratio: float | None = None
    against: str = ""

    def __str__(self) -> str:
        ratio = f"{self.ratio:5.2f} x {self.against}" if self.ratio is not None else ""
        return f"{self.name:<34}{self.rate:>9.1f}{self.p50:>10.2f}{self.p99:>10.2f}{self.cpu:>10.0f}   {ratio}"


@dataclass(slots=True)
class Bench:
    """What every measurement shares."""

    seconds: float
    rounds: int
    sessions: int
    folder: Path

    def settings(self, url: str, name: str) -> Settings:
        """Return settings for a database, in a folder of its own."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Settings(_env_file=None, database_url=url, data_dir=folder, master_key=MASTER_KEY)  # type: ignore[call-arg,arg-type]

    def flood(self, server: Serving, method: str, requests: Sequence[Request], *, once: bool = False) -> Measured:
        """Flood one method for a time, or with each request `once`."""
        before = server.cpu_seconds()
        outcome = Flood(server.port, f"{SERVICE}/{method}", requests, once=once).run(600 if once else self.seconds)
        if outcome.failed:
            raise RuntimeError(f"{method}: {outcome.failed} calls failed; the figures would be worthless")
        return outcome, (server.cpu_seconds() - before) / len(outcome.latencies) * 1e6


def summary(name: str, results: list[Measured]) -> Row:
    """Return the medians of several outcomes."""
    return Row(
        name,
        statistics.median(outcome.rate for outcome, _ in results),
        statistics.median(outcome.percentile(0.5) for outcome, _ in results),
        statistics.median(outcome.percentile(0.99) for outcome, _ in results),
        statistics.median(cpu for _, cpu in results),
    )


def variables(settings: Settings) -> dict[str, str]:
    """Return the environment of a server with these settings."""
    return {
        "AUTHSERVICE_DATABASE_URL": settings.database_address().get_secret_value(),
        "AUTHSERVICE_DATA_DIR": str(settings.data_dir),
        "AUTHSERVICE_MASTER_KEY": MASTER_KEY,
        "AUTHSERVICE_BCRYPT_COST": str(COST),
    }


@contextmanager
def auth_server(settings: Settings, cores: list[int]) -> Iterator[Serving]:
    """Run the real server with one worker on some cores."""
    arguments = ["authservice", "serve", "--port", "{port}", "--workers", "1"]
    with serving(arguments, variables(settings), cores) as server:
        yield server


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each; medians are printed")
    parser.add_argument("--sessions", type=int, default=10_000, help="distinct sessions")
    parser.add_argument("--backends", default="sqlite,mariadb,logins", help="what to measure, separated by commas")
    options = parser.parse_args()
    print(f"{len(ALL_CORES)} cores, server on 1; {options.rounds} rounds of {options.seconds:g} s, medians")
    print(f"{'':<34}{'calls/s':>9}{'p50 ms':>10}{'p99 ms':>10}{'cpu µs':>10}   ratio")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as cleanup:
        bench = Bench(options.seconds, options.rounds, options.sessions, Path(folder))
        rows = []
        os.sched_setaffinity(0, OTHER_CORES)
        if "sqlite" in options.backends:
            rows.append(measure_calls(bench, "sqlite", f"sqlite:///{Path(folder) / 'bench.db'}"))
        if "mariadb" in options.backends and find_server():
            database = MariaDb(Path(folder))
            database.install()  # It inherits the cores of this process.
            cleanup.callback(database.stop)
            database.execute("CREATE DATABASE bench")
            rows.append(measure_calls(bench, "mariadb", database.url("bench")))
        if "logins" in options.backends:
            rows.append(_on_all_cores(measure_logins(bench)))
        for table in rows:
            for row in table:
                print(row, flush=True)


def _on_all_cores(rows: Iterator[Row]) -> Iterator[Row]:
    os.sched_setaffinity(0, ALL_CORES)
    yield from rows


if __name__ == "__main__":
    main()
