"""Login attempts since the last success."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from authservice.storage.tables.auth import login_attempts
from authservice.storage.upsert import insert_or_update


class SqlAttempts:
    """See ports.Attempts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def count(self, subject: bytes, now: datetime, keep_until: datetime) -> int:
        """Add one attempt in one statement, so that parallel ones all count."""
        insert_or_update(
            self._connection,
            login_attempts,
            {"subject": subject, "failures": 1, "last_at": now, "expires_at": keep_until},
            {"failures": login_attempts.c.failures + 1, "last_at": now, "expires_at": keep_until},
        )
        query = select(login_attempts.c.failures).where(login_attempts.c.subject == subject)
        return int(self._connection.execute(query).scalar_one())

    def clear(self, subject: bytes) -> None:
        """Forget the attempts of a subject."""
        self._connection.execute(delete(login_attempts).where(login_attempts.c.subject == subject))
