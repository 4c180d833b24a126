"""Whom a server believes about the time: two clocks that agree, and none that has jumped."""

from datetime import UTC, datetime, timedelta

import pytest

from authservice.domain.clocks import MOST_APART, ClockWrong
from authservice.domain.errors import StorageUnavailable
from authservice.serving.steadiness import Steadiness
from authservice.storage.clock import LONGEST_ANSWER, DatabaseClock

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
JUMPS = [hours * 3600.0 for hours in (1, -1, 49, -49)]
MOST = MOST_APART.total_seconds()


class Machine:
    """A machine whose clock can be set; what counts the seconds since its start cannot."""

    def __init__(self) -> None:
        self.wall = NOON.timestamp()
        self.uptime = 1000.0
        self.clock = DatabaseClock(lambda: self.wall, lambda: self.uptime)
        self.clock.told(NOON, self.uptime)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += seconds
        self.uptime += seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_the_time_is_the_databases_carried_on_by_the_clock_that_never_jumps(machine: Machine) -> None:
    machine.wall += 40.0
    assert machine.clock() == NOON
    machine.run(90.0)
    assert machine.clock() == NOON + 90 * SECOND


@pytest.mark.parametrize("jump", JUMPS)
def test_w1_nobody_is_told_the_time_while_the_clock_of_the_machine_is_wrong(machine: Machine, jump: float) -> None:
    machine.wall += jump
    with pytest.raises(StorageUnavailable) as caught:
        machine.clock()
    assert isinstance(caught.value.__cause__, ClockWrong)
    assert f"{abs(jump):.0f} s {'ahead of' if jump > 0 else 'behind'} the database's" in str(caught.value.__cause__)
    machine.run(5.0)
    machine.wall -= jump
    assert machine.clock() == NOON + 5 * SECOND


@pytest.mark.parametrize("jump", JUMPS)
def test_w1_nobody_is_told_the_time_while_the_clock_of_the_database_is_wrong(machine: Machine, jump: float) -> None:
    machine.clock.told(NOON + timedelta(seconds=jump), machine.uptime)
    with pytest.raises(StorageUnavailable):
        machine.clock()
    machine.clock.told(NOON, machine.uptime)
    assert machine.clock() == NOON


@pytest.mark.parametrize("difference", [-MOST + 1, -30.0, 30.0, MOST - 1])
def test_w2_machines_that_are_less_than_a_minute_apart_have_one_time(machine: Machine, difference: float) -> None:
    machine.wall += difference
    assert machine.clock() == NOON


def test_an_answer_that_took_long_does_not_move_the_clock(machine: Machine) -> None:
    asked_at = machine.uptime
    machine.run(LONGEST_ANSWER + 0.1)
    machine.clock.told(NOON, asked_at)
    assert machine.clock() == NOON + timedelta(seconds=LONGEST_ANSWER + 0.1)
    machine.clock.told(NOON, machine.uptime)
    assert machine.clock() == NOON


@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_was_set_is_not_believed_until_it_is_back(jump: float) -> None:
    point = 1_000_000.0
    steadiness = Steadiness(point, lambda: point)
    steadiness.require()
    point += jump
    with pytest.raises(
        ClockWrong, match=f"set 1?[0-9]+ s {'forward' if jump > 0 else 'back'}.*start this server again"
    ):
        steadiness.require()
    point -= jump + 5.0
    steadiness.require()
