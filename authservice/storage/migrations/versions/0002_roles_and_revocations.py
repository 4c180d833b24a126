"""Roles, and the rules that make tokens invalid before their time.

Servers of the version before go on working on this schema. Their logouts write no rule, so that services which check
tokens by themselves learn of those when the token expires; `Verify` knows at once.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from authservice.storage.columns import Id, Key, Number, Time
from authservice.storage.migrations import steps

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    # Not in batches, which would copy the tables on SQLite.
    steps.add_column("users", sa.Column("generation", sa.Integer, nullable=False, server_default="0"))
    steps.add_column("sessions", sa.Column("token_end", Time))
    steps.create_table(
        "user_roles",
        sa.Column("user_id", Id),
        sa.Column("role", Key(64)),
        sa.Column("granted_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "role", name="pk_user_roles"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_user_roles_user_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
        **OPTIONS,
    )
    steps.create_table(
        "revocations",
        sa.Column("seq", Number, autoincrement=True),
        sa.Column("subject", Id, nullable=False),
        sa.Column("min_generation", sa.Integer, nullable=False),
        sa.Column("token_end", Time, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_revocations"),
        sqlite_autoincrement=True,
        **OPTIONS,
    )
    steps.create_index("ix_revocations_token_end", "revocations", ["token_end"])


def downgrade() -> None:
    op.drop_table("revocations")
    op.drop_table("user_roles")
    op.drop_column("sessions", "token_end")
    op.drop_column("users", "generation")
