"""Challenges that wait to be met."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from authservice.domain.challenge import Challenge, Purpose
from authservice.domain.session import Opening
from authservice.storage.tables.second_factor import challenges
from authservice.storage.upsert import insert_unless_there


class SqlChallenges:
    """See ports.Challenges."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, challenge: Challenge, now: datetime) -> None:
        """Keep a challenge, unless one with its id is open."""
        is_over = (challenges.c.id == challenge.id, challenges.c.expires_at <= now)
        self._connection.execute(delete(challenges).where(*is_over))
        insert_unless_there(self._connection, challenges, **_to_row(challenge))

    def get(self, challenge_id: UUID, secret_hash: bytes, now: datetime) -> Challenge | None:
        """Return a challenge that is open."""
        row = self._connection.execute(
            select(challenges).where(*_is_open(challenge_id, secret_hash, now))
        ).one_or_none()
        return _to_challenge(row) if row else None

    def count_try(self, challenge_id: UUID, secret_hash: bytes, now: datetime) -> Challenge | None:
        """Take one try: one conditional update, so that parallel ones all count."""
        counted = self._connection.execute(
            update(challenges)
            .where(*_is_open(challenge_id, secret_hash, now), challenges.c.tries_left > 0)
            .values(tries_left=challenges.c.tries_left - 1)
        )
        if counted.rowcount != 1:
            return None
        # Locked, as it is anyway: any other read would fix what this transaction sees, and the counts of others that
        # come next would be conflicts.
        query = select(challenges).where(challenges.c.id == challenge_id).with_for_update()
        return _to_challenge(self._connection.execute(query).one())

    def use_up(self, ceremony_id: UUID, user_id: UUID, until: datetime) -> bool:
        """Keep that a ceremony was answered; the primary key decides."""
        met = Challenge(ceremony_id, user_id, Purpose.PASSKEY, b"", 0, until, tries_left=0)
        try:
            self._connection.execute(insert(challenges).values(**_to_row(met)))
        except IntegrityError:
            return False
        return True

    def spend(self, challenge_id: UUID) -> bool:
        """Delete a challenge; the row count decides who has met it."""
        return self._connection.execute(delete(challenges).where(challenges.c.id == challenge_id)).rowcount == 1


def _is_open(challenge_id: UUID, secret_hash: bytes, now: datetime) -> tuple[ColumnElement[bool], ...]:
    held = challenges.c
    return held.id == challenge_id, held.secret_hash == secret_hash, held.expires_at > now


def _to_row(challenge: Challenge) -> dict[str, Any]:
    return {
        "id": challenge.id,
        "user_id": challenge.user_id,
        "purpose": challenge.purpose.value,
        "secret_hash": challenge.secret_hash,
        "secret_generation": challenge.secret_generation,
        "tries_left": challenge.tries_left,
        "auth_methods": challenge.opening.auth_methods,
        "client_label": challenge.opening.label,
        "network": challenge.opening.network,
        "is_remembered": challenge.opening.is_remembered,
        "expires_at": challenge.expires_at,
    }


def _to_challenge(row: Row[Any]) -> Challenge:
    return Challenge(
        id=row.id,
        user_id=row.user_id,
        purpose=Purpose(row.purpose),
        secret_hash=row.secret_hash,
        secret_generation=row.secret_generation,
        expires_at=row.expires_at,
        opening=Opening(row.client_label, row.network or "", row.auth_methods, row.is_remembered),
        tries_left=row.tries_left,
    )
