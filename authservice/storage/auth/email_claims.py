"""Which account each address belongs to."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, delete, func, select, update

from authservice.domain.mail import EmailClaim
from authservice.storage.tables.auth import email_claims
from authservice.storage.upsert import insert_unless_there


class SqlEmailClaims:
    """See ports.EmailClaims."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def holder(self, email: str) -> EmailClaim | None:
        """Return who has claimed a canonical address."""
        row = self._connection.execute(_claim_on(email)).one_or_none()
        return _claim(row) if row else None

    def name(self, email: str, user_id: UUID) -> EmailClaim:
        """Claim an address for a user without proof, unless somebody has claimed it, and lock the claim."""
        self._put(email, user_id)
        return _claim(self._connection.execute(_claim_on(email).with_for_update()).one())

    def confirm(self, email: str, user_id: UUID, now: datetime) -> bool:
        """Give the address to a user, in one conditional update whose row count decides."""
        self._put(email, user_id)
        claim = email_claims.c
        changed = self._connection.execute(
            update(email_claims)
            .where(claim.email == email, (claim.user_id == user_id) | claim.confirmed_at.is_(None))
            .values(user_id=user_id, confirmed_at=func.coalesce(claim.confirmed_at, now, type_=claim.confirmed_at.type))
        )
        return changed.rowcount == 1

    def release(self, user_id: UUID, keep: str) -> None:
        """Give up every address of a user but one."""
        self._connection.execute(
            delete(email_claims).where(email_claims.c.user_id == user_id, email_claims.c.email != keep)
        )

    def _put(self, email: str, user_id: UUID) -> None:
        insert_unless_there(self._connection, email_claims, email=email, user_id=user_id, confirmed_at=None)


def _claim_on(email: str) -> Select[Any]:
    return select(email_claims.c.user_id, email_claims.c.confirmed_at).where(email_claims.c.email == email)


def _claim(row: Row[Any]) -> EmailClaim:
    return EmailClaim(row.user_id, row.confirmed_at)
