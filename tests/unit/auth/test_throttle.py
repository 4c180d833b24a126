"""How long attempts have to wait, by the arithmetic alone."""

from datetime import UTC, datetime, timedelta

import pytest

from authservice.domain.throttle import FROM_A_KNOWN_NETWORK, IN_A_ROW, UNTIL_HELPED, Count, Growing, Limit, Steady

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NONE = timedelta()


def waits(limit: Limit, attempts: int) -> list[float]:
    """Return how many seconds each of some attempts waits that come as soon as they may."""
    count, now, waited = Count(0, NOW), NOW, []
    for _ in range(attempts):
        wait = limit.wait(count, now)
        waited.append(wait.total_seconds())
        now += wait
        count = limit.admitted(count, now)
    return waited


def test_after_the_free_ones_each_pause_is_twice_the_one_before_until_the_longest() -> None:
    limit = Growing(3, longest=timedelta(seconds=10))
    assert waits(limit, 9) == [0, 0, 0, 1, 2, 4, 8, 10, 10]


def test_what_is_free_waits_for_no_clock_that_is_ahead() -> None:
    limit = Growing(3)
    count = limit.admitted(Count(0, NOW), NOW + timedelta(seconds=1))
    assert limit.wait(count, NOW) == NONE
    for _ in range(2):
        count = limit.admitted(count, NOW)
    assert limit.wait(count, NOW) == timedelta(seconds=1)


def test_a_pause_that_nobody_can_count_to_is_the_longest() -> None:
    assert Growing(1).admitted(Count(10_000, NOW), NOW).next_at == NOW + timedelta(minutes=15)


def test_c8_after_a_hundred_in_a_row_no_waiting_helps() -> None:
    count = Count(99, NOW)
    assert IN_A_ROW.wait(count, NOW) == NONE
    count = IN_A_ROW.admitted(count, NOW)
    for later in (NOW, NOW + timedelta(days=29)):
        assert IN_A_ROW.wait(count, later) == UNTIL_HELPED


def test_c9_from_a_known_network_a_user_waits_thirty_seconds_at_most() -> None:
    assert max(waits(FROM_A_KNOWN_NETWORK, 99)) == 30
    assert FROM_A_KNOWN_NETWORK.wait(Count(100, NOW), NOW) == UNTIL_HELPED


def test_a_steady_limit_admits_what_it_says_at_once_and_then_one_for_each_share() -> None:
    limit = Steady(4, timedelta(seconds=8))
    assert waits(limit, 7) == [0, 0, 0, 0, 2, 2, 2]


@pytest.mark.parametrize("pause", [8, 100])
def test_a_steady_limit_that_was_left_alone_for_its_period_is_as_new(pause: float) -> None:
    limit, count = Steady(4, timedelta(seconds=8)), Count(0, NOW)
    for _ in range(4):
        count = limit.admitted(count, NOW)
    later = NOW + timedelta(seconds=pause)
    for _ in range(4):
        assert limit.wait(count, later) == NONE
        count = limit.admitted(count, later)
    assert limit.wait(count, later) > NONE
