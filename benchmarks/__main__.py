"""`python -m benchmarks`: measure everything side by side and print the table.

Options: --seconds per measurement, --rounds (medians are printed), --sessions, --logouts, --watchers, --parts. The
server runs on one core, the load and the database on the others; for logins every core takes part.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.auth_calls import measure_calls, measure_logins
from benchmarks.guarded import measure_guarded
from benchmarks.processes import ALL_CORES, OTHER_CORES
from benchmarks.revocations import measure_fan_out, measure_logouts_seen
from benchmarks.rows import Bench, Row
from tests.mariadb import MariaDb, find_server

PARTS = "sqlite,mariadb,logins,guarded,revocation,fan-out"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each; medians are printed")
    parser.add_argument("--sessions", type=int, default=10_000, help="distinct sessions")
    parser.add_argument("--logouts", type=int, default=500, help="logouts whose way to another process is timed")
    parser.add_argument("--watchers", type=int, default=1000, help="watchers that hear of one logout")
    parser.add_argument("--parts", default=PARTS, help="what to measure, separated by commas")
    options = parser.parse_args()
    parts = options.parts.split(",")
    print(f"{len(ALL_CORES)} cores, server on 1; {options.rounds} rounds of {options.seconds:g} s, medians")
    print(f"{'':<38}{'calls/s':>9}{'p50 ms':>10}{'p99 ms':>10}{'cpu µs':>10}   ratio")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as cleanup:
        bench = Bench(options.seconds, options.rounds, options.sessions, Path(folder))
        os.sched_setaffinity(0, OTHER_CORES)
        mariadb = None
        if {"mariadb", "revocation"} & set(parts) and find_server():
            mariadb = MariaDb(Path(folder))
            mariadb.install()  # It inherits the cores of this process.
            cleanup.callback(mariadb.stop)
        tables: list[Iterator[Row]] = []
        if "sqlite" in parts:
            tables.append(measure_calls(bench, "sqlite", bench.sqlite("calls")))
        if "mariadb" in parts and mariadb:
            tables.append(measure_calls(bench, "mariadb", new_database(mariadb, "calls")))
        if "logins" in parts:
            tables.append(_on_all_cores(measure_logins(bench)))
        if "guarded" in parts:
            tables.append(measure_guarded(bench, bench.sqlite("guarded")))
        if "revocation" in parts:
            tables.append(measure_logouts_seen(bench, "sqlite", bench.sqlite("seen"), options.logouts, replicas=1))
            if mariadb:
                for replicas in (1, 2):
                    url = new_database(mariadb, f"seen_{replicas}")
                    tables.append(measure_logouts_seen(bench, "mariadb", url, options.logouts, replicas=replicas))
        if "fan-out" in parts:
            tables.append(measure_fan_out(bench, bench.sqlite("fan_out"), options.watchers))
        for table in tables:
            for row in table:
                print(row, flush=True)


def new_database(server: MariaDb, name: str) -> str:
    """Return the address of an empty database."""
    server.execute(f"CREATE DATABASE bench_{name}")
    return server.url(f"bench_{name}")


def _on_all_cores(rows: Iterator[Row]) -> Iterator[Row]:
    os.sched_setaffinity(0, ALL_CORES)
    yield from rows
    os.sched_setaffinity(0, OTHER_CORES)


if __name__ == "__main__":
    main()
