"""The time, where a database is there to tell it to all servers alike."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Engine, text

from authservice.domain.clocks import MOST_APART, ClockWrong, apart, uptime
from authservice.domain.errors import StorageUnavailable
from authservice.storage.faults import DATABASE_ERRORS

LONGEST_ANSWER = 1.0
"""Seconds. What takes longer to be told says too little about now."""


class DatabaseClock:
    """The database's time, carried on by the clock of this machine that never jumps. See ports.Clock.

    Lives as long as the process; safe for many threads. What decides and deletes goes by one clock on all servers so,
    and a call needs no round trip for it. But the database's may be wrong as well. So the clock of this machine has to
    agree with it; as long as it does not, nobody is told the time, and so nothing is decided or deleted.
    """

    def __init__(self, wall: Callable[[], float] = time.time, uptime: Callable[[], float] = uptime) -> None:
        self._wall = wall
        self.uptime = uptime
        self._epoch: float | None = None
        """What the database's clock said when `uptime` was zero."""

    def told(self, theirs: datetime, asked_at: float) -> None:
        """Take what the database has just answered to a question of the moment `asked_at`, in seconds of `uptime`."""
        answered_at = self.uptime()
        if self._epoch is None or answered_at - asked_at <= LONGEST_ANSWER:
            self._epoch = theirs.timestamp() - (asked_at + answered_at) / 2

    def __call__(self) -> datetime:
        """Return the time. Raises StorageUnavailable if the two clocks contradict each other."""
        assert self._epoch is not None, "a clock that was never told"
        now = self._epoch + self.uptime()
        ahead = self._wall() - now
        if abs(ahead) > MOST_APART.total_seconds():
            raise StorageUnavailable(text="This server cannot tell the time. Try again as the details say.") from (
                ClockWrong(
                    f"the clock of this machine is {apart(ahead)} the database's; run a time service such as chrony "
                    "on both"
                )
            )
        return datetime.fromtimestamp(now, UTC)


def database_clock(engine: Engine) -> DatabaseClock:
    """Return a clock that was told the time of a MySQL or MariaDB database. Raises StorageUnavailable."""
    clock = DatabaseClock()
    try:
        with engine.connect() as connection:
            asked_at = clock.uptime()
            theirs: datetime = connection.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
            clock.told(theirs.replace(tzinfo=UTC), asked_at)
    except DATABASE_ERRORS as error:
        raise StorageUnavailable from error
    return clock
