"""One-time tokens."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, select, update

from authservice.domain.mail import IssuedToken, OneTimeToken, Purpose
from authservice.storage.tables.mail import one_time_tokens
from authservice.storage.upsert import insert_or_update


class SqlOneTimeTokens:
    """See ports.OneTimeTokens."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, token: IssuedToken) -> None:
        """Keep a token in one statement, so that of parallel ones one is left."""
        row = {column.name: getattr(token, column.name) for column in one_time_tokens.c}
        row["purpose"] = token.purpose.value
        insert_or_update(self._connection, one_time_tokens, row, replaced=[name for name in row if name != "slot"])

    def get(self, token_id: UUID) -> IssuedToken | None:
        """Return a token."""
        row = self._connection.execute(select(one_time_tokens).where(one_time_tokens.c.id == token_id)).one_or_none()
        return _issued(row) if row else None

    def in_slot(self, slot: bytes) -> IssuedToken | None:
        """Return the token of an owner and a purpose."""
        row = self._connection.execute(select(one_time_tokens).where(one_time_tokens.c.slot == slot)).one_or_none()
        return _issued(row) if row else None

    def empty(self, slot: bytes) -> None:
        """Delete it."""
        self._connection.execute(delete(one_time_tokens).where(one_time_tokens.c.slot == slot))

    def withdraw(self, slot: bytes, now: datetime) -> bool:
        """Delete it in one conditional delete, whose row count decides."""
        held = one_time_tokens.c
        deleted = self._connection.execute(
            delete(one_time_tokens).where(held.slot == slot, held.expires_at > now, held.spent_by.is_(None))
        )
        return deleted.rowcount == 1

    def spend(self, token: OneTimeToken, call_id: UUID, now: datetime, user_id: UUID) -> bool:
        """Spend a token in one conditional update, whose row count decides."""
        held = one_time_tokens.c
        spent = self._connection.execute(
            update(one_time_tokens)
            .where(
                held.id == token.id,
                held.secret_hash == token.hash,
                held.purpose == token.purpose.value,
                held.expires_at > now,
                held.spent_by.is_(None),
            )
            .values(spent_by=call_id, user_id=user_id)
        )
        return spent.rowcount == 1

    def forget(self, limit: int) -> int:
        """Delete up to `limit` tokens."""
        # The keys first: see expired.py.
        slots = self._connection.execute(select(one_time_tokens.c.slot).limit(limit)).scalars().all()
        if not slots:
            return 0
        return self._connection.execute(delete(one_time_tokens).where(one_time_tokens.c.slot.in_(slots))).rowcount


def _issued(row: Row[Any]) -> IssuedToken:
    return IssuedToken(**{**row._mapping, "purpose": Purpose(row.purpose)})
