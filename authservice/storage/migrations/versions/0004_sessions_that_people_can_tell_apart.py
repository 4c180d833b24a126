"""What people are told about their sessions: when each began, from where, how its user was proved, and its idle limit.

Servers of the version before go on working on this schema. Their sessions have none of these, and count as opened with
a password, when their user was proved, with the idle limit of the settings. A longer session that they refresh gets
that limit too.
"""

import sqlalchemy as sa
from alembic import op

from authservice.storage.columns import Key, Time, Words
from authservice.storage.migrations import steps

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = ("opened_at", "auth_methods", "idle_seconds", "network")


def upgrade() -> None:
    steps.add_column("sessions", sa.Column("opened_at", Time))
    steps.add_column("sessions", sa.Column("auth_methods", Words(64)))
    steps.add_column("sessions", sa.Column("idle_seconds", sa.Integer))
    steps.add_column("sessions", sa.Column("network", Key(64)))


def downgrade() -> None:
    for column in reversed(COLUMNS):
        op.drop_column("sessions", column)
