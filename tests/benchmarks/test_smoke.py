"""Every part of the benchmarks, run as `make bench` runs it, with sizes that measure nothing."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.processes import ALL_CORES, serving
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

ONE_FIGURE = {
    "revocation": ("logout -> refused, sqlite, same replica",),
    "fan-out": ("logout -> last of 3 watchers",),
    "memory": ("memory of the worker, sqlite", "memory of the supervisor, sqlite"),
}


def bench(backend: str, parts: str, program: Sequence[str] = ("-m", "benchmarks")) -> subprocess.CompletedProcess[str]:
    """Run the benchmarks in a process of their own."""
    command = [sys.executable, *program, *TINY.split(), "--databases", backend, "--parts", parts]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def rows(part: str) -> list[tuple[str, list[float]]]:
    """Return what a part prints: the name of each row and the figures behind it."""
    backend = "mariadb" if part == "mariadb" else "sqlite"
    run = bench(backend, part)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()[2:]
    return [(line[:42].strip(), figures(line[42:])) for line in lines]


def figures(text: str) -> list[float]:
    """Return the numbers that stand by themselves."""
    words = text.replace(",", "").split()
    return [float(word) for word in words if word.replace(".", "", 1).isdigit()]


@pytest.mark.parametrize("part", ROWS)
def test_a_part_measures_its_calls_with_many_and_with_few_in_flight(part: str) -> None:
    if part == "mariadb" and find_server() is None:
        pytest.skip("no MariaDB server on this machine")
    printed = rows(part)
    assert [name for name, _ in printed if name in ROWS[part]] == [name for name, _ in printed]
    for name in ROWS[part]:
        few_and_many = [numbers for found, numbers in printed if found == name]
        assert len(few_and_many) == 2, printed
        for in_flight, rate, p50, p99, *_ in few_and_many:
            assert in_flight >= 8
            assert rate > 0
            assert 0 < p50 <= p99


@pytest.mark.parametrize("part", ONE_FIGURE)
def test_a_part_prints_a_row_with_figures(part: str) -> None:
    printed = rows(part)
    assert tuple(name for name, _ in printed) == ONE_FIGURE[part]
    for name, numbers in printed:
        assert numbers, name


def test_a_call_that_fails_ends_the_program_loudly() -> None:
    strange = (
        "from benchmarks import seeding, table\n"
        "seeding.Seeded.verify_requests = lambda self: [(b'', None)]\n"  # Nobody's token: the real server refuses.
        "table.main()"
    )
    run = bench("sqlite", "sqlite", ("-c", strange))
    assert run.returncode != 0
    assert "/authapi.v1.AuthService/Verify: 1 calls failed" in run.stderr


def test_a_server_that_does_not_start_is_reported_with_its_last_words() -> None:
    with (
        pytest.raises(RuntimeError, match=r"(?s)serve --port many did not start.*'many' is not a valid integer"),
        serving(["authservice", "serve", "--port", "many"], {}, ALL_CORES),
    ):
        pass


def test_a_part_that_does_not_exist_is_named() -> None:
    run = bench("sqlite", "chain,chian")
    assert run.returncode == 2
    assert "there is no part 'chian'" in run.stderr
