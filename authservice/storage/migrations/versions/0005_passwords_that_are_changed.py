"""How often what proves a user was changed, and until when a one-time password may be replaced.

Servers of the version before go on working on this schema. They know neither: a session that they are about to open
while its password is changed is opened, and a one-time password is one like any other to them. So replace all servers
before operators set passwords.
"""

import sqlalchemy as sa
from alembic import op

from authservice.storage.columns import Time
from authservice.storage.migrations import steps

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = ("secret_generation", "password_expires_at")


def upgrade() -> None:
    steps.add_column("users", sa.Column("secret_generation", sa.Integer, nullable=False, server_default="0"))
    steps.add_column("users", sa.Column("password_expires_at", Time))


def downgrade() -> None:
    for column in reversed(COLUMNS):
        op.drop_column("users", column)
