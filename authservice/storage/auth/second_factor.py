"""Authenticator apps and recovery codes."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from authservice.domain.second_factor import TotpFactor
from authservice.storage.tables.second_factor import recovery_codes, totp_factors

_OF_USER = select(totp_factors).where(totp_factors.c.user_id == bindparam("of"))
_IS_CONFIRMED = totp_factors.c.confirmed_at.is_not(None)


class SqlTotpFactors:
    """See ports.TotpFactors."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, user_id: UUID) -> TotpFactor | None:
        """Return a user's factor."""
        row = self._connection.execute(_OF_USER, {"of": user_id}).one_or_none()
        return TotpFactor(**row._mapping) if row else None

    def begin(self, factor: TotpFactor) -> bool:
        """Keep an unconfirmed factor; the primary key admits none beside a confirmed one."""
        unconfirmed = delete(totp_factors).where(totp_factors.c.user_id == factor.user_id, ~_IS_CONFIRMED)
        self._connection.execute(unconfirmed)
        values = {"user_id": factor.user_id, "sealed": factor.sealed, "created_at": factor.created_at}
        try:
            self._connection.execute(insert(totp_factors).values(values))
        except IntegrityError:
            return False
        return True

    def confirm(self, user_id: UUID, step: int, now: datetime) -> bool:
        """Confirm a factor that is not."""
        changed = self._connection.execute(
            update(totp_factors)
            .where(totp_factors.c.user_id == user_id, ~_IS_CONFIRMED)
            .values(confirmed_at=now, last_step=step)
        )
        return changed.rowcount == 1

    def use_step(self, user_id: UUID, step: int) -> bool:
        """Move the last step forward: one conditional update, whose row count decides."""
        last = totp_factors.c.last_step
        changed = self._connection.execute(
            update(totp_factors)
            .where(totp_factors.c.user_id == user_id, _IS_CONFIRMED, or_(last.is_(None), last < step))
            .values(last_step=step)
        )
        return changed.rowcount == 1

    def remove(self, user_id: UUID) -> bool:
        """Delete a user's factor."""
        confirmed = self._connection.execute(
            delete(totp_factors).where(totp_factors.c.user_id == user_id, _IS_CONFIRMED)
        )
        self._connection.execute(delete(totp_factors).where(totp_factors.c.user_id == user_id))
        return confirmed.rowcount == 1

    def page(self, after: UUID, limit: int) -> list[TotpFactor]:
        """Return up to `limit` factors, those after `after`."""
        query = select(totp_factors).where(totp_factors.c.user_id > after).order_by(totp_factors.c.user_id)
        return [TotpFactor(**row._mapping) for row in self._connection.execute(query.limit(limit))]

    def reseal(self, user_id: UUID, before: bytes, after: bytes) -> None:
        """Replace the sealed form of a secret, if it is still `before`."""
        self._connection.execute(
            update(totp_factors)
            .where(totp_factors.c.user_id == user_id, totp_factors.c.sealed == before)
            .values(sealed=after)
        )


class SqlRecoveryCodes:
    """See ports.KeptRecoveryCodes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def replace(self, user_id: UUID, hashes: Sequence[bytes], now: datetime) -> None:
        """Keep these in the place of all others."""
        self._connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
        if hashes:
            rows = [{"user_id": user_id, "code_hash": each, "created_at": now} for each in hashes]
            self._connection.execute(insert(recovery_codes).values(rows))

    def spend(self, user_id: UUID, code_hash: bytes) -> bool:
        """Delete a code; the row count decides who has used it."""
        spent = self._connection.execute(
            delete(recovery_codes).where(recovery_codes.c.user_id == user_id, recovery_codes.c.code_hash == code_hash)
        )
        return spent.rowcount == 1

    def count(self, user_id: UUID) -> int:
        """Return how many are left."""
        query = select(func.count()).select_from(recovery_codes).where(recovery_codes.c.user_id == user_id)
        return self._connection.execute(query).scalar_one()
