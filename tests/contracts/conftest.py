"""One suite, two databases: SQLite and MariaDB."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import pytest

from authservice.domain.deadline import Deadline
from authservice.domain.revocation import Revocation
from authservice.domain.session import Session, SessionEnd
from authservice.domain.user import User
from authservice.ports import Database, LiveSessions, RevocationLog, Transaction, last_counts
from authservice.storage.auth.live_sessions import BatchedLiveSessions
from authservice.storage.database import SqlDatabase
from authservice.storage.engine import open_engine
from authservice.storage.trust.revocation_log import SqlRevocationLog

T = TypeVar("T")


@dataclass
class Stored:
    """A database under test, with a short way to run a transaction."""

    database: Database[Transaction]
    live_sessions: LiveSessions
    log: RevocationLog

    def run(self, work: Callable[[Transaction], T], seconds: float = 20) -> T:
        """Run one transaction."""
        return self.database.transact(work, Deadline.after(seconds), settle=last_counts)

    def keep_user(self, user: User) -> User:
        """Add a user in a transaction of its own."""
        return self.run(lambda tx: tx.users.add(user))

    def keep_session(self, session: Session) -> None:
        """Add a session in a transaction of its own."""
        self.run(lambda tx: tx.sessions.add(session))

    def rules(self) -> list[Revocation]:
        """Return every rule there is, in order."""
        return self.log.after(0)

    def end_session(self, session: Session, now: datetime) -> int:
        """End a session in a transaction of its own."""
        return self.run(lambda tx: tx.sessions.end(session.id, SessionEnd.LOGOUT, now))


@pytest.fixture
def stored(database_url: str) -> Iterator[Stored]:
    """Yield an empty database of each kind."""
    engine = open_engine(database_url, pool_size=60)
    live_sessions = BatchedLiveSessions(engine)
    log = SqlRevocationLog(engine)
    yield Stored(SqlDatabase(engine), live_sessions, log)
    live_sessions.close()
    log.close()
    engine.dispose()
