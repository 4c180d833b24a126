"""The passkeys of users."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, bindparam, case, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from authservice.domain.passkey import Passkey
from authservice.storage.tables.passkeys import passkeys

_OF_USER = select(passkeys).where(passkeys.c.user_id == bindparam("of")).order_by(passkeys.c.created_at, passkeys.c.id)


class SqlPasskeys:
    """See ports.Passkeys."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, passkey: Passkey) -> bool:
        """Keep a passkey; the unique key decides."""
        row = {column.name: getattr(passkey, column.name) for column in passkeys.c}
        try:
            self._connection.execute(insert(passkeys).values(**row))
        except IntegrityError:
            held = self.by_credential(passkey.credential_id)
            return held is not None and held.id == passkey.id
        return True

    def of_user(self, user_id: UUID) -> list[Passkey]:
        """Return a user's passkeys, the oldest first."""
        return [Passkey(**row._mapping) for row in self._connection.execute(_OF_USER, {"of": user_id})]

    def by_credential(self, credential_id: bytes) -> Passkey | None:
        """Return the passkey that a device knows by this."""
        query = select(passkeys).where(passkeys.c.credential_id == credential_id)
        row = self._connection.execute(query).one_or_none()
        return Passkey(**row._mapping) if row else None

    def used(self, passkey_id: UUID, sign_count: int, *, is_backed_up: bool, now: datetime) -> None:
        """Keep what a device said with a signature."""
        count = passkeys.c.sign_count
        self._connection.execute(
            update(passkeys)
            .where(passkeys.c.id == passkey_id)
            .values(
                sign_count=case((count < sign_count, sign_count), else_=count),
                is_backed_up=is_backed_up,
                last_used_at=now,
            )
        )

    def rename(self, user_id: UUID, passkey_id: UUID, name: str) -> bool:
        """Give a user's passkey a name."""
        theirs = passkeys.c.id == passkey_id, passkeys.c.user_id == user_id
        return self._connection.execute(update(passkeys).where(*theirs).values(name=name)).rowcount == 1

    def remove(self, user_id: UUID, passkey_id: UUID) -> bool:
        """Delete a user's passkey; the row count says whether there was one."""
        gone = delete(passkeys).where(passkeys.c.id == passkey_id, passkeys.c.user_id == user_id)
        return self._connection.execute(gone).rowcount == 1

    def remove_all(self, user_id: UUID) -> int:
        """Delete a user's passkeys."""
        return self._connection.execute(delete(passkeys).where(passkeys.c.user_id == user_id)).rowcount
