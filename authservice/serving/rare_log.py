"""The log of a process that seldom has anything to say."""

from dataclasses import dataclass
from typing import Any

from authservice.serving.standard_streams import log_to_standard_error


@dataclass(frozen=True, slots=True)
class RareLog:
    """Opens the log when a line is to be written. See logs.configure."""

    level: str
    form: str

    def warning(self, event: str, **facts: Any) -> None:
        """Write a line that somebody should look at."""
        self._open().warning(event, **facts)

    def error(self, event: str, **facts: Any) -> None:
        """Write a line that somebody has to look at."""
        self._open().error(event, **facts)

    def exception(self, event: str) -> None:
        """Write a line with the exception at hand."""
        self._open().exception(event)

    def _open(self) -> Any:
        log_to_standard_error(self.level, self.form)
        # Here, because it is large. See there.
        import structlog  # noqa: PLC0415

        return structlog.get_logger()
