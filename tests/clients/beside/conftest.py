"""What callers and servers beside others are made of."""

from tests.clients.calling.conftest import quick, server

__all__ = ["quick", "server"]
