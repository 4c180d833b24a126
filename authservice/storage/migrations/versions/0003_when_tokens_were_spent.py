"""When the latest refresh tokens of a session were spent.

Servers of the version before go on working on this schema. They note the last time alone, where they always did.
"""

import sqlalchemy as sa
from alembic import op

from authservice.storage.columns import Times
from authservice.storage.migrations import steps

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    steps.add_column("sessions", sa.Column("spent_at", Times(512)))


def downgrade() -> None:
    op.drop_column("sessions", "spent_at")
