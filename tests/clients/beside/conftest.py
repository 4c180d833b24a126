"""What callers and servers beside others are made of."""

from tests.clients.calling.conftest import quick, server
from tests.clients.serving.conftest import idle, patience, waiting

__all__ = ["idle", "patience", "quick", "server", "waiting"]
