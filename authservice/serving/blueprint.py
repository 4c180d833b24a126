"""What a worker is made from, small enough for the parent to keep: the settings it began with, unread."""

import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from authservice.serving.cores import Cores
from authservice.serving.signals import Hangups
from authservice.serving.standard_streams import log_to_standard_error
from authservice.serving.steadiness import Steadiness, starting_point


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Makes a worker of a process that was forked for it. See supervisor.Worker.

    Args:
        settings: pickled, because a process that has them as they are has imported much to read them.
        addresses: each of the host, with the port.
        cores: those of all workers together.
        file: which file the embedded database is. See embedded_file.Files.
        clock_began: see steadiness.Steadiness.
    """

    settings: bytes = field(repr=False)
    addresses: tuple[str, ...]
    cores: Cores
    file: tuple[int, int] | None = None
    clock_began: float = field(default_factory=starting_point)

    def __call__(self, stop: threading.Event, ready: Callable[[], None], hangups: Hangups) -> None:
        """Work until `stop` is set."""
        # Here, because only workers need it. The first ones are forked with it, those that replace them import it.
        from authservice.serving.worker import work  # noqa: PLC0415

        settings = pickle.loads(self.settings)  # noqa: S301 - it is our own
        log_to_standard_error(settings.log_level, settings.log_format)
        work(settings, self.addresses, self.cores, stop, ready, hangups, Steadiness(self.clock_began), self.file)
