"""Accounts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    type_coerce,
    update,
)
from sqlalchemy.exc import IntegrityError

from authservice.domain.errors import UserNameTaken
from authservice.domain.user import NewPassword, User, UserName, UserSummary
from authservice.storage.columns import Keys
from authservice.storage.tables.auth import email_claims, retired_names, sessions, user_roles, users
from authservice.storage.upsert import insert_unless_there

ROLES: ColumnElement[Any] = type_coerce(
    select(func.aggregate_strings(user_roles.c.role, " "))
    .where(user_roles.c.user_id == users.c.id)
    .correlate(users)
    .scalar_subquery(),
    Keys,
).label("roles")
"""The roles of the user in a row of `users`, as `to_user` expects them beside it."""

# Each of these is built once, which takes longer than running it: the most frequent calls begin with one.
_USER: Select[Any] = select(users, ROLES)
_BY_ID = _USER.where(users.c.id == bindparam("of"))
_BY_NAME = _USER.where(users.c.canonical_name == bindparam("of"))
_BY_EMAIL = _USER.join(email_claims).where(email_claims.c.email == bindparam("of"))
_BY_CONFIRMED_EMAIL = _BY_EMAIL.where(email_claims.c.confirmed_at.is_not(None))
# All of these lock. Any other kind of read would fix what a transaction sees before the lock is granted, and what
# others have committed meanwhile would be conflicts.
_LOCK = select(users).where(users.c.id == bindparam("of")).with_for_update()
_LOCK_NAMED = select(users).where(users.c.canonical_name == bindparam("of")).with_for_update()
_LOCK_ROLES = (
    select(user_roles.c.role)
    .where(user_roles.c.user_id == bindparam("of"))
    .order_by(user_roles.c.role)
    .with_for_update(read=True)
)


class SqlUsers:
    """See ports.Users."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, user: User) -> User:
        """Keep a new account; the unique key on the canonical name decides between parallel calls."""
        try:
            self._connection.execute(
                insert(users).values(
                    id=user.id,
                    canonical_name=user.name.canonical,
                    name=user.name.typed,
                    email=user.email,
                    password_hash=user.password_hash,
                    registration_key=user.registration_key,
                    created_at=user.created_at,
                )
            )
        except IntegrityError:
            return self._holder_or_taken(user)
        if user.email:
            insert_unless_there(self._connection, email_claims, email=user.email, user_id=user.id)
        return user

    def get(self, user_id: UUID) -> User | None:
        """Return the account with this id."""
        return self._one(_BY_ID, user_id)

    def by_name(self, canonical: str) -> User | None:
        """Return the account with this canonical name."""
        return self._one(_BY_NAME, canonical)

    def by_email(self, email: str, *, confirmed_only: bool = False) -> User | None:
        """Return the account that has claimed this canonical address, or that has confirmed it."""
        return self._one(_BY_CONFIRMED_EMAIL if confirmed_only else _BY_EMAIL, email)

    def lock(self, user_id: UUID) -> User | None:
        """Return the account as it is now, locked until the transaction ends."""
        return self._lock(_LOCK, user_id)

    def lock_named(self, canonical: str) -> User | None:
        """Return the account with this canonical name in the same way."""
        return self._lock(_LOCK_NAMED, canonical)

    def _lock(self, query: Select[Any], of: object) -> User | None:
        row = self._connection.execute(query, {"of": of}).one_or_none()
        if row is None:
            return None
        return to_user(row, tuple(self._connection.execute(_LOCK_ROLES, {"of": row.id}).scalars()))

    def replace_password_hash(self, user_id: UUID, old: str, new: str) -> bool:
        """Replace the hash if it is still `old`."""
        changed = self._connection.execute(
            update(users).where(users.c.id == user_id, users.c.password_hash == old).values(password_hash=new)
        )
        return changed.rowcount == 1

    def set_password(self, user: User, new: NewPassword) -> bool:
        """Replace the password: one conditional update, whose row count decides."""
        unchanged = (
            users.c.id == user.id,
            users.c.password_hash == user.password_hash,
            users.c.secret_generation == user.secret_generation,
        )
        changed = self._connection.execute(
            update(users)
            .where(*unchanged)
            .values(
                password_hash=new.hash,
                password_expires_at=new.expires_at,
                secret_generation=users.c.secret_generation + 1,
            )
        )
        return changed.rowcount == 1

    def set_profile(self, user_id: UUID, display_name: str | None, locale: str | None) -> None:
        """Replace what people say about themselves."""
        self._change(user_id, display_name=display_name, locale=locale)

    def set_erase_at(self, user_id: UUID, at: datetime | None) -> None:
        """Have the account erased at a moment, or never."""
        self._change(user_id, erase_at=at)

    def due_for_erasure(self, now: datetime, limit: int) -> list[UUID]:
        """Return up to `limit` accounts that are to be erased by `now`, found by the index."""
        query = select(users.c.id).where(users.c.erase_at <= now).order_by(users.c.erase_at).limit(limit)
        return list(self._connection.execute(query).scalars())

    def remove(self, user_id: UUID) -> bool:
        """Delete the account itself."""
        return self._connection.execute(delete(users).where(users.c.id == user_id)).rowcount == 1

    def retire_name(self, fingerprint: bytes, now: datetime) -> None:
        """Keep a name from being used again."""
        insert_unless_there(self._connection, retired_names, fingerprint=fingerprint, retired_at=now)

    def is_retired(self, fingerprint: bytes) -> bool:
        """Tell whether a name was retired, also by a transaction that has ended since this one began."""
        query = select(retired_names.c.retired_at).where(retired_names.c.fingerprint == fingerprint)
        return self._connection.execute(query.with_for_update(read=True)).first() is not None

    def set_email(self, user: User, new: str) -> bool:
        """Give the user a new address: one conditional update, whose row count decides."""
        changed = self._connection.execute(
            update(users)
            .where(users.c.id == user.id, users.c.secret_generation == user.secret_generation)
            .values(email=new, secret_generation=users.c.secret_generation + 1)
        )
        return changed.rowcount == 1

    def set_disabled(self, user_id: UUID, at: datetime | None) -> None:
        """Disable the account since `at`, or enable it with None."""
        self._change(user_id, disabled_at=at)

    def grant(self, user_id: UUID, role: str, now: datetime) -> bool:
        """Give a role; the primary key keeps it from being given twice."""
        try:
            self._connection.execute(insert(user_roles).values(user_id=user_id, role=role, granted_at=now))
        except IntegrityError:
            return False
        return True

    def roles(self) -> dict[str, int]:
        """Return every role that somebody has, and how many accounts have it."""
        counted = select(user_roles.c.role, func.count()).group_by(user_roles.c.role).order_by(user_roles.c.role)
        return {str(role): int(count) for role, count in self._connection.execute(counted)}

    def take(self, user_id: UUID, role: str) -> bool:
        """Take a role away."""
        taken = self._connection.execute(
            delete(user_roles).where(user_roles.c.user_id == user_id, user_roles.c.role == role)
        )
        return taken.rowcount == 1

    def begin_generation(self, user_id: UUID) -> int:
        """Count the user's generation up."""
        self._connection.execute(update(users).where(users.c.id == user_id).values(generation=users.c.generation + 1))
        query = select(users.c.generation).where(users.c.id == user_id)
        return int(self._connection.execute(query).scalar_one())

    def begin_secret_generation(self, user_id: UUID) -> None:
        """Count the generation of what proves the user up."""
        following = users.c.secret_generation + 1
        self._connection.execute(update(users).where(users.c.id == user_id).values(secret_generation=following))

    def page(self, after: str, limit: int, now: datetime) -> list[UserSummary]:
        """Return up to `limit` accounts in the order of canonical names, those after `after`."""
        live = func.coalesce(
            func.sum(case((sessions.c.ended_at.is_(None) & (sessions.c.idle_end > now), 1), else_=0)), 0
        )
        rows = self._connection.execute(
            select(users, live.label("live"), ROLES)
            .outerjoin(sessions, sessions.c.user_id == users.c.id)
            .where(users.c.canonical_name > after)
            .group_by(users.c.id)
            .order_by(users.c.canonical_name)
            .limit(limit)
        )
        return [
            UserSummary(row.id, row.name, row.email, row.created_at, row.disabled_at, int(row.live), row.roles)
            for row in rows
        ]

    def _change(self, user_id: UUID, **values: Any) -> None:
        self._connection.execute(update(users).where(users.c.id == user_id).values(**values))

    def _holder_or_taken(self, user: User) -> User:
        holder = self.by_name(user.name.canonical)
        if holder is None or not holder.is_same_registration(user):
            raise UserNameTaken
        return holder

    def _one(self, query: Select[Any], of: object) -> User | None:
        row = self._connection.execute(query, {"of": of}).one_or_none()
        return to_user(row) if row else None


def to_user(row: Row[Any], roles: tuple[str, ...] | None = None) -> User:
    """Return the user that the columns of `users` in a row describe, with ROLES if they are not given."""
    value = row._mapping
    return User(
        id=value[users.c.id],
        name=UserName(value[users.c.name], value[users.c.canonical_name]),
        email=value[users.c.email],
        password_hash=value[users.c.password_hash],
        created_at=value[users.c.created_at],
        registration_key=value[users.c.registration_key],
        disabled_at=value[users.c.disabled_at],
        generation=value[users.c.generation],
        display_name=value[users.c.display_name],
        locale=value[users.c.locale],
        erase_at=value[users.c.erase_at],
        roles=value[ROLES] if roles is None else roles,
        secret_generation=value[users.c.secret_generation],
        password_expires_at=value[users.c.password_expires_at],
    )
