"""The bounded room for password work: who gets in, who is turned away, and that no place is ever lost."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from authservice.domain.deadline import Deadline
from authservice.domain.errors import DeadlineTooShort, Overloaded
from authservice.security.hash_pool import HIGHEST_NICENESS, NICENESS, HashPool

PATIENCE = 20.0
"""Seconds after which a test that waits for an event gives up. Never reached where the claim holds."""


@pytest.fixture
def pool() -> Iterator[HashPool]:
    pool = HashPool(threads=1, queue=2, typical=0.5)
    yield pool
    pool.close()


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as executor:
        yield executor


class Busy:
    """A computation that begins when it is called and ends when it is told to."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._may_end = threading.Event()

    def __call__(self) -> str:
        self._begun.set()
        assert self._may_end.wait(PATIENCE)
        return "done"

    def wait_until_begun(self) -> None:
        assert self._begun.wait(PATIENCE)

    def end(self) -> None:
        self._may_end.set()


def later() -> Deadline:
    return Deadline.after(PATIENCE)


def fails() -> Any:
    raise LookupError("compute")


def require_all_places(pool: HashPool, callers: ThreadPoolExecutor, places: int = 3) -> None:
    """Fill the pool to its last place and see the next caller refused."""
    work = [Busy() for _ in range(places)]
    queued: list[Future[str]] = []
    for number, item in enumerate(work):
        queued.append(callers.submit(pool.run, item, later()))
        if number == 0:
            item.wait_until_begun()
    until = time.monotonic() + PATIENCE
    while has_room(pool) and time.monotonic() < until:
        os.sched_yield()  # The callers have been sent off; each takes its place as soon as its thread runs.
    assert not has_room(pool)
    for item in work:
        item.end()
    assert [each.result(PATIENCE) for each in queued] == ["done"] * places
    assert has_room(pool)


def has_room(pool: HashPool) -> bool:
    try:
        pool.require_room()
    except Overloaded:
        return False
    return True


def test_a_result_and_an_exception_reach_the_caller(pool: HashPool) -> None:
    assert pool.run(lambda: "hash", later()) == "hash"
    with pytest.raises(LookupError, match="compute"):
        pool.run(fails, later())
    assert pool.computed == 2


def test_o2_no_hash_is_computed_after_the_deadline(pool: HashPool) -> None:
    for seconds in (-1.0, 0.0):
        with pytest.raises(DeadlineTooShort):
            pool.run(lambda: "hash", Deadline.after(seconds))
    assert pool.computed == 0


def test_o2_no_hash_is_computed_with_less_than_a_tenth_of_a_second_left(pool: HashPool) -> None:
    with pytest.raises(DeadlineTooShort):
        pool.run(lambda: "hash", Deadline.after(0.095))
    assert pool.computed == 0


def test_o2_no_hash_is_computed_for_a_caller_who_has_gone(pool: HashPool) -> None:
    with pytest.raises(DeadlineTooShort):
        pool.run(lambda: "hash", Deadline.after(PATIENCE, caller_gone=lambda: True))
    assert pool.computed == 0


def test_o2_whoever_goes_while_waiting_in_the_queue_costs_no_hash(pool: HashPool, callers: ThreadPoolExecutor) -> None:
    first, gone, asked = Busy(), threading.Event(), threading.Event()

    def has_gone() -> bool:
        asked.set()
        return gone.is_set()

    running = callers.submit(pool.run, first, later())
    first.wait_until_begun()
    waiting = callers.submit(pool.run, lambda: "hash", Deadline.after(PATIENCE, caller_gone=has_gone))
    gone.set()
    assert not asked.is_set(), "the question is put when the turn comes"
    first.end()
    assert running.result(PATIENCE) == "done"
    with pytest.raises(DeadlineTooShort):
        waiting.result(PATIENCE)
    assert asked.is_set()
    assert pool.computed == 1


def test_o2_whoever_runs_out_of_time_in_the_queue_is_answered_then_and_costs_no_hash(
    pool: HashPool, callers: ThreadPoolExecutor
) -> None:
    first = Busy()
    running = callers.submit(pool.run, first, later())
    first.wait_until_begun()
    begin = time.monotonic()
    with pytest.raises(DeadlineTooShort):
        pool.run(lambda: "hash", Deadline.after(0.2))
    assert 0.2 <= time.monotonic() - begin < PATIENCE / 2
    assert not running.done()
    first.end()
    assert running.result(PATIENCE) == "done"
    assert pool.computed == 1


def test_a_caller_does_not_wait_past_the_deadline_for_a_hash_that_has_begun(pool: HashPool) -> None:
    slow = Busy()
    with pytest.raises(DeadlineTooShort):
        pool.run(slow, Deadline.after(0.5))
    slow.wait_until_begun()
    slow.end()
    assert pool.run(lambda: "hash", later()) == "hash"


def test_o1_a_full_queue_refuses_at_once_and_says_when_to_come_back(
    pool: HashPool, callers: ThreadPoolExecutor
) -> None:
    work = [Busy() for _ in range(3)]
    running = callers.submit(pool.run, work[0], later())
    work[0].wait_until_begun()
    queued = [callers.submit(pool.run, item, later()) for item in work[1:]]
    until = time.monotonic() + PATIENCE
    while has_room(pool) and time.monotonic() < until:
        os.sched_yield()
    begin = time.monotonic()
    for attempt in (pool.require_room, lambda: pool.run(lambda: "hash", later())):
        with pytest.raises(Overloaded) as refused:
            attempt()
        assert refused.value.retry_after == pytest.approx(3 * 0.5)
    assert time.monotonic() - begin < PATIENCE / 2, "who waits for room waits to the end of the time"
    for item in work:
        item.end()
    assert [each.result(PATIENCE) for each in (running, *queued)] == ["done"] * 3
    assert pool.computed == 3


def test_o1_asking_for_room_takes_none(pool: HashPool, callers: ThreadPoolExecutor) -> None:
    for _ in range(100):
        pool.require_room()
    require_all_places(pool, callers)


def test_places_come_back_after_exceptions(pool: HashPool, callers: ThreadPoolExecutor) -> None:
    for _ in range(10):
        with pytest.raises(LookupError):
            pool.run(fails, later())
    require_all_places(pool, callers)


def test_places_come_back_after_deadlines_passed_and_callers_gone(pool: HashPool, callers: ThreadPoolExecutor) -> None:
    for _ in range(10):
        for deadline in (Deadline.after(-1), Deadline.after(0.05), Deadline.after(PATIENCE, lambda: True)):
            with pytest.raises(DeadlineTooShort):
                pool.run(lambda: "hash", deadline)
    require_all_places(pool, callers)


def test_places_come_back_after_time_ran_out_in_the_queue(pool: HashPool, callers: ThreadPoolExecutor) -> None:
    first = Busy()
    running = callers.submit(pool.run, first, later())
    first.wait_until_begun()
    for _ in range(10):
        with pytest.raises(DeadlineTooShort):
            pool.run(lambda: "hash", Deadline.after(0.01))
    first.end()
    assert running.result(PATIENCE) == "done"
    require_all_places(pool, callers)


def test_places_come_back_after_a_hash_that_outlived_its_deadline(pool: HashPool, callers: ThreadPoolExecutor) -> None:
    slow = Busy()
    with pytest.raises(DeadlineTooShort):
        pool.run(slow, Deadline.after(0.5))
    slow.end()
    require_all_places(pool, callers)


def test_no_more_hashes_run_at_once_than_there_are_threads(callers: ThreadPoolExecutor) -> None:
    pool, lock, at_once, most = HashPool(threads=2, queue=14), threading.Lock(), 0, 0
    pair = threading.Barrier(2)

    def compute() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        pair.wait(PATIENCE)  # Two are needed to go on, so two are in here together at some time.
        with lock:
            at_once -= 1

    try:
        for each in [callers.submit(pool.run, compute, later()) for _ in range(16)]:
            each.result(PATIENCE)
    finally:
        pool.close()
    assert most == 2
    assert pool.computed == 16


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="no priorities on this system")
def test_hashing_threads_stand_back_behind_the_others(pool: HashPool) -> None:
    here = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    there = pool.run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), later())
    assert there == min(here + NICENESS, HIGHEST_NICENESS)
