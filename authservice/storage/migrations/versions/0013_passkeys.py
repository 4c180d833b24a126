"""Passkeys.

Servers of the version before go on working on this schema, and ask nobody for a passkey: let people register them when
the last of those servers is gone.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from authservice.storage.columns import Bytes, Id, Time, Words, text
from authservice.storage.migrations import steps

revision = "0013"
down_revision = "0012"
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
        "passkeys",
        sa.Column("id", Id),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("credential_id", Bytes(1023), nullable=False),
        sa.Column("public_key", Bytes(1024), nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("transports", Words(64)),
        sa.Column("is_backed_up", sa.Boolean, nullable=False),
        sa.Column("name", text(64), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("last_used_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_passkeys"),
        sa.UniqueConstraint("credential_id", name="uq_passkeys_credential_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_passkeys_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    steps.create_index("ix_passkeys_user_id", "passkeys", ["user_id"])


def downgrade() -> None:
    op.drop_table("passkeys")
