"""Handlers that note what they see, and answer what they were sent."""

from typing import Any

from authclient import find_identity

from tests.clients.guarded import every_kind
from tests.clients.shapes import every_shape


class Noted:
    """What handlers saw, call by call."""

    def __init__(self) -> None:
        self.callers: list[Any] = []
        self.metadata: list[dict[str, Any]] = []
        self.contexts: list[Any] = []

    def work(self, requests: list[bytes], context: Any) -> list[bytes]:
        self.callers.append(find_identity(context))
        self.metadata.append(dict(context.invocation_metadata()))
        self.contexts.append(context)
        return requests

    @property
    def by_kind(self) -> dict[str, Any]:
        """A handler of each kind, for a synchronous server."""
        return every_kind(self.work)

    @property
    def by_shape(self) -> dict[str, Any]:
        """A handler of each shape, for an asyncio server."""
        return every_shape(self.work)
