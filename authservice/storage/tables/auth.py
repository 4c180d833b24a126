"""Accounts, their sessions, and attempts to log in."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table

from authservice.domain.session import MOST_SPENT
from authservice.storage.columns import Bytes, Id, Key, Time, Times, Words, text
from authservice.storage.tables.form import OPTIONS, metadata

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
    Column("secret_generation", Integer, nullable=False, server_default="0"),
    **OPTIONS,
)

user_roles = Table(
    "user_roles",
    metadata,
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", Key(64), primary_key=True),
    Column("granted_at", Time, nullable=False),
    **OPTIONS,
)

email_claims = Table(
    "email_claims",
    metadata,
    Column("email", Key(254), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    **OPTIONS,
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
    Column("spent_at", Times(8 * MOST_SPENT)),
    Column("opened_at", Time),
    Column("auth_methods", Words(64)),
    Column("idle_seconds", Integer),
    Column("network", Key(64)),
    Index("ix_sessions_absolute_end", "absolute_end"),
    **OPTIONS,
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("subject", Bytes(32), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False, index=True),
    **OPTIONS,
)
