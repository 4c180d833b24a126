"""What people say about themselves, when their account is to be erased, and the names of those that were.

Servers of the version before go on working on this schema. They erase nobody, do not say at a login that an account is
to be erased, and give the name of an erased account to whoever asks for it.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from authservice.storage.columns import Bytes, Key, Time, text
from authservice.storage.migrations import steps

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None

OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "sqlite_with_rowid": False,
}


def upgrade() -> None:
    steps.add_column("users", sa.Column("display_name", text(64)))
    steps.add_column("users", sa.Column("locale", Key(35)))
    steps.add_column("users", sa.Column("erase_at", Time))
    steps.create_index("ix_users_erase_at", "users", ["erase_at"])
    steps.create_table(
        "retired_names",
        sa.Column("fingerprint", Bytes(32)),
        sa.Column("retired_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_retired_names"),
        **OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("retired_names")
    op.drop_index("ix_users_erase_at", "users")
    for column in ("erase_at", "locale", "display_name"):
        op.drop_column("users", column)
