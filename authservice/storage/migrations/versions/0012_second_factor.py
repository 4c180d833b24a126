"""Authenticator apps, recovery codes, and challenges that wait for one of their codes.

Servers of the version before go on working on this schema, and ask nobody for a second factor: set none up before the
last of them is gone.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from authservice.storage.columns import Bytes, Id, Key, Time, Words, text
from authservice.storage.migrations import steps

revision = "0012"
down_revision = "0011"
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
        "totp_factors",
        sa.Column("user_id", Id),
        sa.Column("sealed", Bytes(256), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("confirmed_at", Time),
        sa.Column("last_step", sa.BigInteger),
        sa.PrimaryKeyConstraint("user_id", name="pk_totp_factors"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_totp_factors_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    steps.create_table(
        "recovery_codes",
        sa.Column("user_id", Id),
        sa.Column("code_hash", Bytes(32)),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name="pk_recovery_codes"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_recovery_codes_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    steps.create_table(
        "challenges",
        sa.Column("id", Id),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("purpose", Key(16), nullable=False),
        sa.Column("secret_hash", Bytes(32), nullable=False),
        sa.Column("secret_generation", sa.Integer, nullable=False),
        sa.Column("tries_left", sa.Integer, nullable=False),
        sa.Column("auth_methods", Words(64)),
        sa.Column("client_label", text(64), nullable=False),
        sa.Column("network", Key(64)),
        sa.Column("is_remembered", sa.Boolean, nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_challenges"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_challenges_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    steps.create_index("ix_challenges_user_id", "challenges", ["user_id"])
    steps.create_index("ix_challenges_expires_at", "challenges", ["expires_at"])


def downgrade() -> None:
    for table in ("challenges", "recovery_codes", "totp_factors"):
        op.drop_table(table)
