"""Somebody with and somebody without an app."""

import grpc
import pytest

from tests.conftest import SettableClock
from tests.rpc.second_factor.people import Person, a_person


@pytest.fixture
def newcomer(channel: grpc.Channel, clock: SettableClock) -> Person:
    """Return somebody who has a session and no second factor."""
    return a_person(channel, clock)


@pytest.fixture
def person(newcomer: Person) -> Person:
    """Return somebody who has set an app up."""
    return newcomer.set_up()
