"""What every story takes from outside: the time, new ids, and the record of who did what."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeAlias
from uuid import UUID

from authservice.domain.events import AuditEvent

Clock: TypeAlias = Callable[[], datetime]
"""Answers the current time, in UTC with microseconds."""
NewId: TypeAlias = Callable[[], UUID]
"""Answers a fresh UUID of version 7 (RFC 9562), so that new rows lie side by side in an index."""


class Audit(Protocol):
    """The record of who did what."""

    def record(self, event: AuditEvent) -> None:
        """Write one event."""
