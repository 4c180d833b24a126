"""Accounts from another system, many at a time."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Connection, select

from authservice.domain.user import User
from authservice.ports import Holders
from authservice.storage.tables.auth import email_claims, users
from authservice.storage.upsert import insert_each_unless_there


class SqlImports:
    """See ports.Imports."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_each(self, new: Sequence[User]) -> Holders:
        """Keep accounts in one statement; the unique key on the canonical name decides about each."""
        insert_each_unless_there(self._connection, users, [_to_row(user) for user in new])
        holders = self.holders([user.name.canonical for user in new], ())
        ours = [user for user in new if holders.names[user.name.canonical][0] == user.id and user.email]
        if ours:
            claims = [{"email": user.email, "user_id": user.id} for user in ours]
            insert_each_unless_there(self._connection, email_claims, claims)
        return self.holders([user.name.canonical for user in new], [user.email for user in ours if user.email])

    def holders(self, names: Collection[str], emails: Collection[str]) -> Holders:
        """Return who has names and addresses."""
        by_name = select(users.c.canonical_name, users.c.id, users.c.registration_key)
        by_email = select(email_claims.c.email, email_claims.c.user_id)
        # The rows that others have added meanwhile count as well, so both reads lock what they find.
        named = self._connection.execute(by_name.where(users.c.canonical_name.in_(names)).with_for_update(read=True))
        found: dict[str, tuple[UUID, bytes | None]] = {row[0]: (row[1], row[2]) for row in named}
        claimed = self._connection.execute(by_email.where(email_claims.c.email.in_(emails)).with_for_update(read=True))
        return Holders(found, {row[0]: row[1] for row in claimed})


def _to_row(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "canonical_name": user.name.canonical,
        "name": user.name.typed,
        "email": user.email,
        "password_hash": user.password_hash,
        "registration_key": user.registration_key,
        "created_at": user.created_at,
    }
