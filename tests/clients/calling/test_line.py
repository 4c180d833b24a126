"""A channel is replaced once, and closed when nothing is under way over it any more."""

from collections.abc import Callable

import pytest
from authclient._calling.line import Line


class Place:
    """Where channels lead, which are numbers here."""

    def __init__(self) -> None:
        self.opened = 1
        self.closed: list[int] = []

    def open(self) -> int:
        self.opened += 1
        return self.opened


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def line(place: Place) -> Line[int]:
    return Line(1, place.open, place.closed.append)


@pytest.fixture
def in_use(line: Line[int]) -> Callable[[], int]:
    """Return what tells the channel in use."""

    def tell() -> int:
        with line.use() as channel:
            return channel

    return tell


def test_a_channel_over_which_nothing_is_under_way_is_closed_when_it_is_replaced(
    line: Line[int], place: Place, in_use: Callable[[], int]
) -> None:
    assert in_use() == 1
    line.replace(1)
    assert in_use() == 2
    assert place.closed == [1]


def test_a_channel_is_closed_after_the_last_call_that_is_under_way_over_it(line: Line[int], place: Place) -> None:
    with line.use():
        with line.use() as channel:
            line.replace(channel)
        assert place.closed == []
        with line.use() as other:
            assert other == 2
        assert place.closed == []
    assert place.closed == [1]


def test_a_channel_that_many_find_silent_is_replaced_once(line: Line[int], place: Place) -> None:
    for _ in range(3):
        line.replace(1)
    assert place.opened == 2
    assert place.closed == [1]


def test_a_line_that_is_closed_opens_nothing_any_more(line: Line[int], place: Place) -> None:
    with line.use() as channel:
        line.replace(channel)
        assert sorted(line.close()) == [1, 2]
        line.replace(2)
    assert place.opened == 2


def test_the_channel_of_somebody_else_is_neither_replaced_nor_closed() -> None:
    line = Line("theirs")
    line.replace("theirs")
    with line.use() as channel:
        assert channel == "theirs"
    assert line.close() == ["theirs"]
