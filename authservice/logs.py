"""Log lines: one event, one line.

JSON by default, which escapes line breaks and terminal codes in whatever a caller sent.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from authservice.domain.events import AuditEvent

_configured = 0
"""How often that has happened."""


class Stream(Protocol):
    """Where log lines go. To write one fails nobody."""

    def write(self, text: str, /) -> object:
        """Take a line with its end."""

    def flush(self) -> object:
        """Let what was written leave."""


def configure(level: str, form: str, stream: Stream | None = None) -> None:
    """Send log lines to `stream`, or to standard error, from now on."""
    global _configured  # noqa: PLW0603 - as structlog's own configuration is one for the process
    _configured += 1
    # The console form goes through repr for strings with control characters, so it cannot be broken up either.
    renderer: Any = (
        structlog.processors.JSONRenderer(sort_keys=True)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),  # type: ignore[arg-type]
    )


def line(event: str, **facts: Any) -> str:
    """Return an error as the line that would be written, whatever the level that is logged."""
    return str(structlog.wrap_logger(structlog.ReturnLogger()).error(event, **facts)) + "\n"


class LogAudit:
    """Writes audit events to the log. See ports.Audit."""

    def __init__(self) -> None:
        self._bind()

    def record(self, event: AuditEvent) -> None:
        """Write one event."""
        if self._configured != _configured:
            self._bind()
        self._log.info("audit", audit=event.name, **event.facts())

    def _bind(self) -> None:
        # Put together once: for each event it would take a third of what the event takes.
        self._configured = _configured
        self._log = structlog.get_logger().bind()


class RareWarning:
    """Writes what may happen with every call as one line a minute. Lives as long as the process."""

    def __init__(self, event: str, every: float = 60.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._event, self._every, self._monotonic = event, every, monotonic
        self._lock = threading.Lock()
        self._next = float("-inf")

    def __call__(self, error: Exception) -> None:
        """Tell of an error, unless one was told lately."""
        with self._lock:
            now = self._monotonic()
            if now < self._next:
                return
            self._next = now + self._every
        structlog.get_logger().warning(self._event, cause=str(error))
