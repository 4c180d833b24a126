"""Mail that waits to be sent, one-time tokens, and which addresses are confirmed.

Servers of the version before go on working on this schema. They send no mail, and whoever registers with them is asked
for no confirmation.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from authservice.storage.columns import Bytes, Id, Key, Time, Times, text
from authservice.storage.migrations import steps

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "sqlite_with_rowid": False,
}


def upgrade() -> None:
    steps.add_column("email_claims", sa.Column("confirmed_at", Time))
    steps.create_table(
        "one_time_tokens",
        sa.Column("slot", Bytes(32)),
        sa.Column("id", Id, nullable=False),
        sa.Column("user_id", Id),
        sa.Column("purpose", Key(32), nullable=False),
        sa.Column("secret_hash", Bytes(32), nullable=False),
        sa.Column("secret_generation", sa.Integer, nullable=False),
        sa.Column("address", text(254), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.Column("spent_by", Id),
        sa.Column("session_id", Id),
        sa.PrimaryKeyConstraint("slot", name="pk_one_time_tokens"),
        sa.UniqueConstraint("id", name="uq_one_time_tokens_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_one_time_tokens_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    steps.create_index("ix_one_time_tokens_user_id", "one_time_tokens", ["user_id"])
    steps.create_index("ix_one_time_tokens_expires_at", "one_time_tokens", ["expires_at"])
    steps.create_table(
        "outbox",
        sa.Column("id", Id),
        sa.Column("user_id", Id),
        sa.Column("kind", Key(32), nullable=False),
        sa.Column("sealed", Bytes(4096), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("due_at", Time, nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_outbox_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    steps.create_index("ix_outbox_user_id", "outbox", ["user_id"])
    steps.create_index("ix_outbox_due_at", "outbox", ["due_at"])
    steps.create_index("ix_outbox_expires_at", "outbox", ["expires_at"])
    steps.create_table(
        "mail_quotas",
        sa.Column("subject", Bytes(32)),
        sa.Column("mailed_at", Times(40)),
        sa.Column("expires_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_mail_quotas"),
        **OPTIONS,
    )
    steps.create_index("ix_mail_quotas_expires_at", "mail_quotas", ["expires_at"])


def downgrade() -> None:
    for table in ("mail_quotas", "outbox", "one_time_tokens"):
        op.drop_table(table)
    op.drop_column("email_claims", "confirmed_at")
