"""Accounts, sessions, login attempts, and the sealed keys of the service."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from authservice.storage.columns import Bytes, Id, Key, Time, text
from authservice.storage.migrations import steps

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "sqlite_with_rowid": False,
}


def upgrade() -> None:
    steps.create_table(
        "users",
        sa.Column("id", Id),
        sa.Column("canonical_name", Key(256), nullable=False),
        sa.Column("name", text(64), nullable=False),
        sa.Column("email", text(254)),
        sa.Column("password_hash", Key(255), nullable=False),
        sa.Column("registration_key", Bytes(32)),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("disabled_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("canonical_name", name="uq_users_canonical_name"),
        **OPTIONS,
    )
    steps.create_table(
        "email_claims",
        sa.Column("email", Key(254)),
        sa.Column("user_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("email", name="pk_email_claims"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_email_claims_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    steps.create_index("ix_email_claims_user_id", "email_claims", ["user_id"])
    steps.create_table(
        "sessions",
        sa.Column("id", Id),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("client_label", text(64), nullable=False),
        sa.Column("authenticated_at", Time, nullable=False),
        sa.Column("idle_end", Time, nullable=False),
        sa.Column("absolute_end", Time, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("refresh_hash", Bytes(32), nullable=False),
        sa.Column("spent_hash", Bytes(32)),
        sa.Column("rotated_at", Time),
        sa.Column("ended_at", Time),
        sa.Column("end_reason", Key(32)),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    steps.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    steps.create_index("ix_sessions_absolute_end", "sessions", ["absolute_end"])
    steps.create_table(
        "login_attempts",
        sa.Column("subject", Bytes(32)),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", Time, nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_login_attempts"),
        **OPTIONS,
    )
    steps.create_index("ix_login_attempts_expires_at", "login_attempts", ["expires_at"])
    steps.create_table(
        "signing_keys",
        sa.Column("kid", Key(64)),
        sa.Column("alg", Key(16), nullable=False),
        sa.Column("state", Key(16), nullable=False),
        sa.Column("slot", Key(16)),
        sa.Column("public", Bytes(1024), nullable=False),
        sa.Column("sealed_private", Bytes(4096), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("activated_at", Time),
        sa.Column("retired_at", Time),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
        sa.UniqueConstraint("slot", name="uq_signing_keys_slot"),
        **OPTIONS,
    )
    steps.create_table(
        "sealed_secrets",
        sa.Column("purpose", Key(32)),
        sa.Column("sealed", Bytes(256), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("purpose", name="pk_sealed_secrets"),
        **OPTIONS,
    )


def downgrade() -> None:
    for table in ("sealed_secrets", "signing_keys", "login_attempts", "sessions", "email_claims", "users"):
        op.drop_table(table)
