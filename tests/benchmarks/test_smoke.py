"""Every part of the benchmarks, with sizes that measure nothing.

In this process, which has imported most of what they need; one part as `make bench` runs it.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from benchmarks import table
from benchmarks.processes import ALL_CORES, serving
from benchmarks.seeding import Seeded
from tests.mariadb import find_server

ROOT = Path(__file__).parents[2]
TINY = "--seconds=0.05 --rounds=1 --sessions=20 --logouts=2 --watchers=3 --bcrypt-cost=10"

ROWS = {
    "chain": ("empty RPC, ordinary server", "GetSigningKeys"),
    "sqlite": ("Verify, sqlite", "Verify, token unseen, sqlite", "Refresh, sqlite", "Logout, token unseen, sqlite"),
    "mariadb": (
        "Verify, mariadb",
        "Verify, token unseen, mariadb",
        "Refresh, mariadb",
        "Logout, token unseen, mariadb",
    ),
    "logins": ("Login, sqlite, all cores", "Verify alone, sqlite, all cores", "Verify beside a login flood"),
    "guarded": tuple(
        f"{kind}: {row}"
        for kind in ("sync", "aio")
        for row in (
            "an interceptor that does nothing",
            "guarded RPC",
            *(["guarded RPC, requests awaited apart"] if kind == "sync" else []),
            "PyJWT at each call",
            "Verify at each call",
            "guarded RPC, token unseen",
        )
    ),
    "workers": ("Verify, sqlite, one core with its load", "Verify, sqlite, two cores with theirs"),
}
"""What a part measures, with many and with few calls in flight."""
AS_A_PROGRAM = "chain"

ONE_FIGURE = {
    "revocation": ("logout -> refused, sqlite, same replica",),
    "fan-out": ("logout -> last of 3 watchers",),
    "memory": ("memory of the worker, sqlite", "memory of the supervisor, sqlite"),
}


Bench = Callable[..., str]
"""Runs some parts and returns what they print."""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Bench]:
    before, cores = structlog.get_config(), os.sched_getaffinity(0)

    def run(parts: str, backend: str = "sqlite") -> str:
        monkeypatch.setattr(sys, "argv", ["benchmarks", *TINY.split(), "--databases", backend, "--parts", parts])
        table.main()
        return capsys.readouterr().out

    yield run
    structlog.configure(**before)
    os.sched_setaffinity(0, cores)


def rows(printed: str) -> list[tuple[str, list[float]]]:
    """Return what a part prints: the name of each row and the figures behind it."""
    return [(line[:42].strip(), figures(line[42:])) for line in printed.splitlines()[2:]]


def figures(text: str) -> list[float]:
    """Return the numbers that stand by themselves."""
    words = text.replace(",", "").split()
    return [float(word) for word in words if word.replace(".", "", 1).isdigit()]


def require_rows(printed: list[tuple[str, list[float]]], part: str) -> None:
    assert [name for name, _ in printed if name in ROWS[part]] == [name for name, _ in printed]
    for name in ROWS[part]:
        few_and_many = [numbers for found, numbers in printed if found == name]
        assert len(few_and_many) == 2, printed
        for in_flight, rate, p50, p99, *_ in few_and_many:
            assert in_flight >= 8
            assert rate > 0
            assert 0 < p50 <= p99


@pytest.mark.parametrize("part", [part for part in ROWS if part != AS_A_PROGRAM])
def test_a_part_measures_its_calls_with_many_and_with_few_in_flight(bench: Bench, part: str) -> None:
    if part == "mariadb" and find_server() is None:
        pytest.skip("no MariaDB server on this machine")
    require_rows(rows(bench(part, "mariadb" if part == "mariadb" else "sqlite")), part)


def test_the_program_of_make_bench_does_the_same() -> None:
    command = [sys.executable, "-m", "benchmarks", *TINY.split(), "--databases", "sqlite", "--parts", AS_A_PROGRAM]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr
    require_rows(rows(run.stdout), AS_A_PROGRAM)


@pytest.mark.parametrize("part", ONE_FIGURE)
def test_a_part_prints_a_row_with_figures(bench: Bench, part: str) -> None:
    printed = rows(bench(part))
    assert tuple(name for name, _ in printed) == ONE_FIGURE[part]
    for name, numbers in printed:
        assert numbers, name


def test_a_call_that_fails_ends_the_program_loudly(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody's token: the real server refuses.
    monkeypatch.setattr(Seeded, "verify_requests", lambda _: [(b"", None)])
    with pytest.raises(RuntimeError, match=r"/authapi\.v1\.AuthService/Verify: 1 calls failed"):
        bench("sqlite")


def test_a_server_that_does_not_start_is_reported_with_its_last_words() -> None:
    with (
        pytest.raises(RuntimeError, match=r"(?s)serve --port many did not start.*'many' is not a valid integer"),
        serving(["authservice", "serve", "--port", "many"], {}, ALL_CORES),
    ):
        pass


def test_a_part_that_does_not_exist_is_named(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        bench("chain,chian")
    assert end.value.code == 2
    assert "there is no part 'chian'" in capsys.readouterr().err
