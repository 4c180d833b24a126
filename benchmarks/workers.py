"""Two workers on two cores beside one worker on one core.

Where there are but two cores, the load and the database cannot have any to themselves. So they get the same part in
both: one core carries one worker, its share of the load and of the database; two cores carry two of each, with the one
database spread over both.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context

from benchmarks.auth_calls import VERIFY
from benchmarks.bench import IN_FLIGHT, Bench, auth_server, require_answers
from benchmarks.flood import Outcome, flood_with
from benchmarks.frames import Frames, encoded
from benchmarks.processes import ALL_CORES, OTHER_CORES, Serving
from benchmarks.rows import Measured, Row

TOKENS = 1000
"""Few, so that every worker has soon seen them all."""
CONNECTIONS = 8
"""Of each load. The kernel spreads connections over the workers by chance, and many come out evenly."""


def measure_workers(bench: Bench) -> Iterator[Row]:
    """Yield Verify with one worker and with two, round by round in turn."""
    if len(ALL_CORES) < 2:
        raise RuntimeError("two workers on two cores need two cores; leave this part out with --parts")
    cores = ALL_CORES[:2]
    for backend in bench.databases.backends:
        settings, seeded = bench.seeded(backend, "workers", min(bench.sessions, TOKENS))
        calls = encoded(VERIFY, seeded.verify_requests())
        with ExitStack() as running:
            loads = [running.enter_context(_load(core)) for core in cores]
            one = running.enter_context(auth_server(settings, cores[:1]))
            two = running.enter_context(auth_server(settings, cores, workers=2))
            for in_flight in IN_FLIGHT:
                both = []
                for _ in range(bench.rounds):
                    bench.databases.pin(cores[:1])
                    single = _measure(bench, one, loads[:1], calls, in_flight)
                    bench.databases.pin(cores)
                    both.append((single, _measure(bench, two, loads, calls, in_flight)))
                yield Row.of(f"Verify, {backend}, one core with its load", in_flight, [pair[0] for pair in both])
                row = Row.of(f"Verify, {backend}, two cores with theirs", 2 * in_flight, [pair[1] for pair in both])
                yield row.beside((double.rate / single.rate for single, double in both), "one worker")
            bench.databases.pin(OTHER_CORES)


def _load(core: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, get_context("spawn"), os.sched_setaffinity, (0, [core]))


def _measure(
    bench: Bench, server: Serving, loads: Sequence[ProcessPoolExecutor], calls: Sequence[Frames], in_flight: int
) -> Measured:
    for seconds in (bench.seconds / 4, bench.seconds):  # The first lets every worker see the tokens.
        before = server.cpu_seconds()
        running = [
            load.submit(flood_with, server.port, calls, CONNECTIONS, in_flight // CONNECTIONS, seconds)
            for load in loads
        ]
        outcomes = [each.result() for each in running]
    together = Outcome(
        max(each.seconds for each in outcomes),
        [latency for each in outcomes for latency in each.latencies],
        sum(each.failed for each in outcomes),
    )
    require_answers(VERIFY, together)
    return Measured(together, (server.cpu_seconds() - before) / len(together.latencies) * 1e6)
