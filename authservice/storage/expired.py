"""Deleting expired rows, a batch at a time."""

from datetime import datetime

from sqlalchemy import Column, Connection, delete, select

from authservice.storage.tables.auth import known_networks, login_attempts, sessions, tried_secrets
from authservice.storage.tables.mail import mail_quotas, one_time_tokens, outbox
from authservice.storage.tables.second_factor import challenges
from authservice.storage.tables.trust import revocations

_EXPIRIES: tuple[Column[datetime], ...] = (
    sessions.c.absolute_end,
    login_attempts.c.expires_at,
    tried_secrets.c.expires_at,
    known_networks.c.expires_at,
    challenges.c.expires_at,
    revocations.c.token_end,
    one_time_tokens.c.expires_at,
    outbox.c.expires_at,
    mail_quotas.c.expires_at,
)


class SqlExpired:
    """See ports.Expired."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def purge(self, now: datetime, limit: int) -> int:
        """Delete up to `limit` rows of each kind, found by the index on their expiry."""
        return sum(self._purge(expiry, now, limit) for expiry in _EXPIRIES)

    def _purge(self, expiry: Column[datetime], now: datetime, limit: int) -> int:
        table = expiry.table
        key = table.primary_key.columns[0]
        # MySQL cannot limit a subquery in DELETE and SQLite cannot limit a DELETE, so the keys are read first.
        keys = self._connection.execute(select(key).where(expiry <= now).order_by(expiry).limit(limit)).scalars().all()
        if not keys:
            return 0
        return self._connection.execute(delete(table).where(key.in_(keys))).rowcount
