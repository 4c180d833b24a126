"""What keeps chores or calls from being done is told once, once a minute while it lasts, and once when it is over."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from authservice.domain.clocks import ClockWrong
from authservice.domain.errors import StorageUnavailable
from authservice.ports import CourierAway

log = structlog.get_logger()

TOLD_EVERY = 60.0
"""Seconds. Some chores are done ten times a second."""
_AWAY, _WRONG, _NO_COURIER = "database_away", "clock_wrong", "mail_server_away"
_ENDS = {_AWAY: "database_back", _WRONG: "clock_right", _NO_COURIER: "mail_server_back"}


@dataclass(slots=True)
class _Outage:
    since: float
    told_at: float
    chores: dict[str, float] = field(default_factory=dict)
    """Those that it keeps from being done, and when each has met it last."""


class Outages:
    """Those of one process, whichever of its threads they meet. Lives as long as the process.

    A database that is away is one outage, however many chores it keeps from being done, and so are a wrong clock and a
    mail server that takes nothing; anything else is one for each.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._outages: dict[str, _Outage] = {}

    def met(self, chore: str, error: Exception) -> None:
        """Take note that a chore could not be done."""
        name = _outage_of(chore, error)
        now = self._monotonic()
        with self._lock:
            self._end(chore, now, besides=name)
            outage = self._outages.get(name)
            is_due = outage is None or now >= outage.told_at + TOLD_EVERY
            outage = outage or self._outages.setdefault(name, _Outage(now, now))
            outage.chores[chore] = now
            if is_due:
                outage.told_at = now
                _tell(name, error, now - outage.since)

    def over(self, chore: str, calm: float = 0.0) -> None:
        """Take note that a chore has been done, and has met nothing for `calm` seconds."""
        if self._outages:  # Without the lock: what another thread adds meanwhile is not about this chore.
            with self._lock:
                self._end(chore, self._monotonic(), calm=calm)

    def has(self, chore: str) -> bool:
        """Tell whether something keeps a chore from being done."""
        with self._lock:
            return any(chore in outage.chores for outage in self._outages.values())

    def _end(self, chore: str, now: float, *, besides: str = "", calm: float = 0.0) -> None:
        for name, outage in list(self._outages.items()):
            if name != besides and chore in outage.chores and now >= outage.chores[chore] + calm:
                del outage.chores[chore]
                if not outage.chores:
                    del self._outages[name]
                    _tell_end(name, now - outage.since)


def _outage_of(chore: str, error: Exception) -> str:
    if isinstance(error, ClockWrong) or isinstance(error.__cause__, ClockWrong):
        return _WRONG
    if isinstance(error, CourierAway):
        return _NO_COURIER
    return _AWAY if isinstance(error, StorageUnavailable) else chore


def _tell(name: str, error: Exception, seconds: float) -> None:
    facts = {"pid": os.getpid(), "seconds": round(seconds, 1)}
    if name in _ENDS:
        log.warning(name, cause=_cause(error), **facts)
    else:
        log.warning("chore_failed", chore=name, error=type(error).__name__, **facts)


def _tell_end(name: str, seconds: float) -> None:
    facts = {"pid": os.getpid(), "seconds": round(seconds, 1)}
    if name in _ENDS:
        log.warning(_ENDS[name], **facts)
    else:
        log.warning("chore_works_again", chore=name, **facts)


def _cause(error: Exception) -> str:
    """Return the words of the driver, which repeat nothing that was sent where a database is away."""
    cause = error.__cause__ or error
    cause = getattr(cause, "orig", None) or cause  # SQLAlchemy's own text has the statement.
    return " ".join(": ".join(map(str, cause.args)).split()) or type(cause).__name__
