"""Somebody with a device."""

import grpc
import pytest

from tests.conftest import SettableClock
from tests.observed import register
from tests.rpc.passkeys.people import Owner


@pytest.fixture
def owner(channel: grpc.Channel, clock: SettableClock) -> Owner:
    """Return somebody with a session and a device, and no passkey yet."""
    return an_owner(channel, clock)


def an_owner(channel: grpc.Channel, clock: SettableClock, name: str = "ada") -> Owner:
    """Register somebody, with a session."""
    owner = Owner(channel, clock, name)
    register(owner.stub, name, email=f"{name}@example.com")
    owner.tokens = owner.ask().tokens
    return owner
