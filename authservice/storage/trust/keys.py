"""Signing keys and the service's own secrets, all of them sealed."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from authservice.domain.signing_key import KeyState, SigningKey
from authservice.storage.tables.trust import sealed_secrets, signing_keys
from authservice.storage.upsert import insert_unless_there

_KEY = [column for column in signing_keys.c if column.name != "slot"]
_STAMP = {KeyState.ACTIVE: "activated_at", KeyState.RETIRED: "retired_at"}


class SqlSigningKeys:
    """See ports.SigningKeys."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[SigningKey]:
        """Return every key, oldest first."""
        rows = self._connection.execute(select(*_KEY).order_by(signing_keys.c.created_at, signing_keys.c.kid))
        return [SigningKey(**{**row._mapping, "state": KeyState(row.state)}) for row in rows]

    def add(self, key: SigningKey) -> bool:
        """Keep a new pending key; the unique key on the slot admits one."""
        values = {**asdict(key), "state": key.state.value, "slot": key.state.value}
        try:
            self._connection.execute(insert(signing_keys).values(**values))
        except IntegrityError:
            return False
        return True

    def move(self, kid: str, before: KeyState, after: KeyState, now: datetime) -> bool:
        """Move a key from one state to another."""
        slot = None if after is KeyState.RETIRED else after.value
        statement = update(signing_keys).where(signing_keys.c.kid == kid, signing_keys.c.state == before.value)
        try:
            moved = self._connection.execute(statement.values(state=after.value, slot=slot, **{_STAMP[after]: now}))
        except IntegrityError:
            return False  # Another server has filled the slot.
        return moved.rowcount == 1

    def remove(self, kid: str) -> None:
        """Delete a key."""
        self._connection.execute(delete(signing_keys).where(signing_keys.c.kid == kid))

    def reseal(self, kid: str, sealed_private: bytes) -> None:
        """Replace the sealed form of a private key."""
        self._connection.execute(
            update(signing_keys).where(signing_keys.c.kid == kid).values(sealed_private=sealed_private)
        )


class SqlSealedSecrets:
    """See ports.SealedSecrets."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> dict[str, bytes]:
        """Return purpose and sealed secret of each."""
        return {row.purpose: row.sealed for row in self._connection.execute(select(sealed_secrets))}

    def add(self, purpose: str, sealed: bytes, now: datetime) -> None:
        """Keep a new secret, unless the purpose has one already."""
        insert_unless_there(self._connection, sealed_secrets, purpose=purpose, sealed=sealed, created_at=now)

    def reseal(self, purpose: str, sealed: bytes) -> None:
        """Replace the sealed form of a secret."""
        self._connection.execute(
            update(sealed_secrets).where(sealed_secrets.c.purpose == purpose).values(sealed=sealed)
        )
