"""The tables. Migrations create them; a test holds the two against each other."""

from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, Table

from authservice.storage.columns import Bytes, Id, Key, Number, Time, text

# SQLite keeps rows in the order of their primary key, as InnoDB does: one look-up in place of two. Charset and
# collation stand in the DDL, because servers default to latin1 or to collations that fold.
_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "sqlite_with_rowid": False,
}

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("canonical_name", Key(256), nullable=False, unique=True),
    Column("name", text(64), nullable=False),
    Column("email", text(254)),
    Column("password_hash", Key(255), nullable=False),
    Column("registration_key", Bytes(32)),
    Column("created_at", Time, nullable=False),
    Column("disabled_at", Time),
    Column("generation", Integer, nullable=False, server_default="0"),
    **_OPTIONS,
)

user_roles = Table(
    "user_roles",
    metadata,
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", Key(64), primary_key=True),
    Column("granted_at", Time, nullable=False),
    **_OPTIONS,
)

email_claims = Table(
    "email_claims",
    metadata,
    Column("email", Key(254), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    **_OPTIONS,
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("client_label", text(64), nullable=False),
    Column("authenticated_at", Time, nullable=False),
    Column("idle_end", Time, nullable=False),
    Column("absolute_end", Time, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("refresh_hash", Bytes(32), nullable=False),
    Column("spent_hash", Bytes(32)),
    Column("rotated_at", Time),
    Column("ended_at", Time),
    Column("end_reason", Key(32)),
    Column("token_end", Time),
    Index("ix_sessions_absolute_end", "absolute_end"),
    **_OPTIONS,
)

revocations = Table(
    "revocations",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("subject", Id, nullable=False),
    # 0 where the subject is a session, all of whose tokens are over.
    Column("min_generation", Integer, nullable=False),
    Column("token_end", Time, nullable=False),
    Index("ix_revocations_token_end", "token_end"),
    # Numbers are never used again, also after the highest row is deleted: watchers resume from them.
    sqlite_autoincrement=True,
    **{**_OPTIONS, "sqlite_with_rowid": True},
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("subject", Bytes(32), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False, index=True),
    **_OPTIONS,
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Key(64), primary_key=True),
    Column("alg", Key(16), nullable=False),
    Column("state", Key(16), nullable=False),
    # Equal to `state` for the one pending and the one active key, NULL for retired ones: the unique key admits no
    # second.
    Column("slot", Key(16), unique=True),
    Column("public", Bytes(1024), nullable=False),
    Column("sealed_private", Bytes(4096), nullable=False),
    Column("created_at", Time, nullable=False),
    Column("activated_at", Time),
    Column("retired_at", Time),
    **_OPTIONS,
)

sealed_secrets = Table(
    "sealed_secrets",
    metadata,
    Column("purpose", Key(32), primary_key=True),
    Column("sealed", Bytes(256), nullable=False),
    Column("created_at", Time, nullable=False),
    **_OPTIONS,
)
