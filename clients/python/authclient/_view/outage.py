"""What the log says while the authentication service cannot be heard, and when it can again."""

from collections.abc import Callable

from authclient._judging.observer import log
from authclient._view.diagnosis import Server, describe

TELLING_SECONDS = 60.0
"""How long an outage goes on before it is told of again."""


class Outage:
    """Tells the log of an outage: at its beginning, once a minute while it lasts, and when it is over.

    Args:
        server: whom it is about; None for one that is called through a channel that was given.
        monotonic: the clock that the minutes go by.
    """

    def __init__(self, server: Server | None, monotonic: Callable[[], float]) -> None:
        self._server = server
        self._monotonic = monotonic
        self._told_at: float | None = None
        self._was_heard = False

    def lost(self, why: str) -> None:
        """Note that the stream of revocations was lost, or could not be opened."""
        now = self._monotonic()
        if self._told_at is not None and now - self._told_at < TELLING_SECONDS:
            return
        self._told_at = now
        log.warning(
            "the authentication service does not say what is revoked (%s). Calls are judged by what is known for "
            "as long as their rules allow; it is tried again until it does.",
            describe(self._server, why),
        )

    def over(self) -> None:
        """Note that the stream is open and complete. Routine, where it was opened anew without having been lost."""
        if self._told_at is not None:
            where = self._server.address if self._server else "the channel that was given"
            log.info("the authentication service says again what is revoked (%s)", where)
        elif not self._was_heard:
            log.info("the authentication service says what is revoked")
        self._told_at, self._was_heard = None, True
