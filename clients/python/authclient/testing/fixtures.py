"""Pytest fixtures: `pytest_plugins = ["authclient.testing.fixtures"]`."""

import pytest

from authclient.testing.issuer import Clock, Issuer
from authclient.testing.local_trust import LocalTrust


@pytest.fixture
def auth_clock() -> Clock:
    """A clock that stands until it is moved."""
    return Clock()


@pytest.fixture
def auth_issuer(auth_clock: Clock) -> Issuer:
    """An issuer of tokens."""
    return Issuer(auth_clock)


@pytest.fixture
def auth_trust(auth_issuer: Issuer) -> LocalTrust:
    """What an AuthInterceptor needs to know about the issuer's tokens."""
    return LocalTrust(auth_issuer)
