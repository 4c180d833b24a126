"""A supervisor told to stop at the worst moments: while it forks, and while its workers die."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.faults.processes import wait_until

ROUNDS = int(os.environ.get("AUTHSERVICE_TEST_SIGNAL_ROUNDS", "12"))
WORKERS = 8
STOP_SECONDS = 30.0
"""Half of what the supervisor waits before it kills workers: what is lost is not made up for by that."""
ROOT = Path(__file__).parents[2]

Program = subprocess.Popen[bytes]


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Yield what starts a supervised program, and leave nothing of it behind."""
    started: list[Program] = []

    def run(*how: str) -> Program:
        command = [sys.executable, "-m", "tests.faults.idle_workers", str(WORKERS), *how]
        program = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        started.append(program)
        return program

    yield run
    for program in started:
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
        program.communicate()


def test_k5_sigterm_while_workers_are_being_forked_ends_all_of_them(start: Callable[..., Program]) -> None:
    for number in range(ROUNDS):
        program = start()
        _await_children(program, 1 + number % WORKERS)
        _ends_well(program)


def test_k5_sigterm_at_the_moment_of_a_workers_death_ends_in_good_order(start: Callable[..., Program]) -> None:
    for _ in range(ROUNDS):
        program = start()
        _ready(program)
        for worker in random.sample(_children(program), 3):
            os.kill(worker, signal.SIGKILL)
        _ends_well(program)


def test_k5_sigterm_while_a_worker_is_being_replaced_ends_the_new_one_too(start: Callable[..., Program]) -> None:
    for _ in range(ROUNDS):
        program = start()
        _ready(program)
        before = _children(program)
        os.kill(random.choice(before), signal.SIGKILL)
        _await_children(program, 1, besides=before)
        _ends_well(program)


def test_k5_sigterm_that_comes_just_before_the_parent_waits_ends_that_wait(start: Callable[..., Program]) -> None:
    # What comes in the instant between the last instruction and the system call leaves that undisturbed, as does what
    # another thread is sent. The second can be had at will.
    program = start("aside")
    _ready(program)
    wait_until(lambda: _sleeps(program), 10, "a parent that waits")
    assert program.stdin
    program.stdin.write(b"now\n")
    _ends_well(program, signalled=True)


def _ready(program: Program) -> None:
    assert program.stdout
    assert program.stdout.readline() == b"ready\n"


def _await_children(program: Program, count: int, besides: Sequence[int] = ()) -> None:
    wait_until(lambda: len(set(_children(program)) - set(besides)) >= count, 10, f"{count} new workers")


def _children(program: Program) -> list[int]:
    return list(map(int, Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()))


def _sleeps(program: Program) -> bool:
    return Path(f"/proc/{program.pid}/task/{program.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def _ends_well(program: Program, *, signalled: bool = False) -> None:
    if not signalled:
        program.send_signal(signal.SIGTERM)
    try:
        _, errors = program.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail(f"still running {STOP_SECONDS:.0f} s after SIGTERM, with the workers {_children(program)}")
    assert (program.returncode, b"Traceback" in errors) == (0, False), errors.decode()[-1000:]
