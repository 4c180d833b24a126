"""How many connections a process takes, by how many descriptors it may have."""

import resource
import subprocess
import sys

import pytest

from authservice.serving.descriptors import MANY, SPARE

OF_DATABASE = 40
_PROGRAM = f"""
import resource, sys
from authservice.serving.descriptors import connections_within
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
allowed = connections_within(wanted, 1, {OF_DATABASE})
print("allowed", allowed, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def limits(soft: int, hard: int, wanted: int) -> tuple[int, int, str]:
    """Return how many connections are allowed, what the soft limit has become, and what was logged."""
    command = [sys.executable, "-c", _PROGRAM, str(soft), str(hard), str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    log, _, figures = done.stdout.rpartition("allowed ")
    allowed, soft_then = figures.split()
    return int(allowed), int(soft_then), log


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not 1024 < hard <= MANY:
        pytest.skip("this user has no hard limit to speak of")
    assert limits(1024, hard, 500) == (500, hard, "")


def test_where_the_hard_limit_is_low_what_the_database_takes_is_kept_and_the_log_says_so() -> None:
    allowed, soft, log = limits(512, 1024, 10_000)
    assert (allowed, soft) == (1024 - SPARE - OF_DATABASE, 1024)
    assert "few_descriptors" in log
    assert f"to {10_000 + SPARE + OF_DATABASE}" in log
