"""Attempts that have to wait, the passwords that were tried lately and wrong, and the networks that users come from.

Servers of the version before go on working on this schema. They count the attempts on accounts and hold nobody up.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from authservice.storage.columns import Bytes, Id, Time
from authservice.storage.migrations import steps

revision = "0008"
down_revision = "0005"
branch_labels = None
depends_on = None

OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "sqlite_with_rowid": False,
}


def upgrade() -> None:
    steps.add_column("login_attempts", sa.Column("next_at", Time))
    steps.add_column("login_attempts", sa.Column("owner", Bytes(32)))
    steps.create_index("ix_login_attempts_owner", "login_attempts", ["owner"])
    steps.create_table(
        "tried_secrets",
        sa.Column("fingerprint", Bytes(32)),
        sa.Column("owner", Bytes(32), nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_tried_secrets"),
        **OPTIONS,
    )
    steps.create_index("ix_tried_secrets_owner", "tried_secrets", ["owner"])
    steps.create_index("ix_tried_secrets_expires_at", "tried_secrets", ["expires_at"])
    steps.create_table(
        "known_networks",
        sa.Column("fingerprint", Bytes(32)),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_known_networks"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_known_networks_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    steps.create_index("ix_known_networks_user_id", "known_networks", ["user_id"])
    steps.create_index("ix_known_networks_expires_at", "known_networks", ["expires_at"])


def downgrade() -> None:
    op.drop_table("known_networks")
    op.drop_table("tried_secrets")
    op.drop_index("ix_login_attempts_owner", "login_attempts")
    op.drop_column("login_attempts", "owner")
    op.drop_column("login_attempts", "next_at")
