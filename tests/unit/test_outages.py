"""What keeps chores from being done: told once, once a minute, and once when it is over."""

import threading
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from authservice.domain.errors import StorageUnavailable
from authservice.serving import housekeeping
from authservice.serving.outages import TOLD_EVERY, Outages

CHORES = ("revocations", "health", "reload keys", "clean-up")


class Hands:
    """A clock to be moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def told() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


def away() -> StorageUnavailable:
    error = StorageUnavailable()
    error.__cause__ = OSError(2003, "Can't connect to MySQL server on 'db1'")
    return error


def test_a_database_that_is_away_is_told_once_a_minute_and_once_when_it_is_back(told: list[EventDict]) -> None:
    hands = Hands()
    outages = Outages(hands)
    for _ in range(600):  # Quarters of a second.
        for chore in CHORES:
            outages.met(chore, away())
        hands.now += 0.25
    for chore in CHORES:
        outages.over(chore)
    assert [(line["event"], line["seconds"]) for line in told] == [
        ("database_away", 0.0),
        ("database_away", TOLD_EVERY),
        ("database_away", 2 * TOLD_EVERY),
        ("database_back", 150.0),
    ]
    assert {line["cause"] for line in told[:3]} == {"2003: Can't connect to MySQL server on 'db1'"}


def test_it_is_back_when_every_chore_that_missed_it_has_been_done(told: list[EventDict]) -> None:
    outages = Outages()
    outages.met("clean-up", away())
    for _ in range(10):
        outages.met("health", away())
        outages.over("health")
        outages.over("revocations")
    assert [line["event"] for line in told] == ["database_away"]
    outages.over("clean-up")
    assert [line["event"] for line in told] == ["database_away", "database_back"]
    outages.met("health", away())
    assert told[-1]["event"] == "database_away", "another one"


def test_another_error_is_told_by_its_chore(told: list[EventDict]) -> None:
    outages = Outages()
    for _ in range(3):
        outages.met("rotate keys", KeyError("canary"))
    outages.met("rotate keys", away())
    outages.over("rotate keys")
    assert [(line["event"], line.get("error")) for line in told] == [
        ("chore_failed", "KeyError"),
        ("chore_works_again", None),
        ("database_away", None),
        ("database_back", None),
    ]
    assert "canary" not in str(told)


def test_a_rare_chore_that_the_outage_met_does_not_keep_back_the_word_that_it_is_over(
    told: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "RETRY_PERIOD", 0.01)
    tries = iter([away(), None])
    done = threading.Event()

    def clean_up() -> None:
        if error := next(tries):
            raise error
        done.set()

    keeping = housekeeping.Housekeeping([housekeeping.Chore("clean-up", 3600.0, clean_up)])
    keeping.start()
    assert done.wait(10)
    keeping.stop()
    assert [line["event"] for line in told] == ["database_away", "database_back"]
