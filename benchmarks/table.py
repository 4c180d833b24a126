"""Measures everything side by side and prints the table.

The server runs on one core, the load and the database on the others; for logins every core takes part, and `workers`
says for itself. What is measured follows --parts; a part that asks for a database that is not here ends the program.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.auth_calls import measure_calls, measure_chain
from benchmarks.bench import Bench
from benchmarks.databases import Databases, backends_here
from benchmarks.guarded import measure_guarded
from benchmarks.logins import measure_logins
from benchmarks.memory import measure_memory
from benchmarks.processes import ALL_CORES, OTHER_CORES
from benchmarks.revocations import measure_fan_out, measure_logouts_seen
from benchmarks.rows import HEADING, Row
from benchmarks.workers import measure_workers

PARTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "chain": measure_chain,
    "sqlite": lambda bench: measure_calls(bench, "sqlite"),
    "mariadb": lambda bench: measure_calls(bench, "mariadb"),
    "logins": measure_logins,
    "guarded": measure_guarded,
    "revocation": measure_logouts_seen,
    "fan-out": measure_fan_out,
    "memory": measure_memory,
    "workers": measure_workers,
}


def main() -> None:
    """Measure and print. Exits with another code than 0 as soon as a call fails that should not."""
    options = _options()
    print(f"{len(ALL_CORES)} cores; {options.rounds} rounds of {options.seconds:g} s, medians\n{HEADING}", flush=True)
    os.sched_setaffinity(0, OTHER_CORES)
    with tempfile.TemporaryDirectory() as folder, Databases(Path(folder), options.databases) as databases:
        bench = Bench(
            options.seconds,
            options.rounds,
            options.sessions,
            options.logouts,
            options.watchers,
            options.bcrypt_cost,
            databases,
        )
        for part in options.parts:
            for row in PARTS[part](bench):
                print(row, flush=True)


def _options() -> argparse.Namespace:
    here = backends_here()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each; medians are printed")
    parser.add_argument("--sessions", type=int, default=10_000, help="distinct sessions that are asked about")
    parser.add_argument("--logouts", type=int, default=500, help="logouts whose way to another process is timed")
    parser.add_argument("--watchers", type=int, default=1000, help="watchers that hear of one logout")
    parser.add_argument("--bcrypt-cost", type=int, default=12, help="work factor of the logins")
    parser.add_argument("--databases", type=_names, default=here, help="for parts that take each; default: those here")
    parser.add_argument("--parts", type=_names, help=f"what to measure, separated by commas: {','.join(PARTS)}")
    options = parser.parse_args()
    if options.parts is None:
        options.parts = [part for part in PARTS if part != "mariadb" or "mariadb" in options.databases]
        if "mariadb" not in options.databases:
            print("Without MariaDB: there is no server on this machine, or --databases leaves it out.", file=sys.stderr)
    for part in options.parts:
        if part not in PARTS:
            parser.error(f"there is no part {part!r}; there are {', '.join(PARTS)}")
    for backend in {*options.databases, *({"mariadb"} & {*options.parts})}:
        if backend not in here:
            parser.error(f"there is no {backend} on this machine")
    return options


def _names(text: str) -> list[str]:
    return text.split(",")
