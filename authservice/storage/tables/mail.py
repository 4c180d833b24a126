"""Mail that waits to be sent, how much of it an address has had, and the one-time tokens in it."""

from sqlalchemy import Column, ForeignKey, Integer, Table

from authservice.domain.mail import MOST_AN_HOUR
from authservice.storage.columns import Bytes, Id, Key, Time, Times, text
from authservice.storage.tables.form import OPTIONS, metadata

one_time_tokens = Table(
    "one_time_tokens",
    metadata,
    # One for each owner and purpose, so that the newest takes the place of the one before.
    Column("slot", Bytes(32), primary_key=True),
    Column("id", Id, nullable=False, unique=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), index=True),
    Column("purpose", Key(32), nullable=False),
    Column("secret_hash", Bytes(32), nullable=False),
    Column("secret_generation", Integer, nullable=False),
    Column("address", text(254), nullable=False),
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False, index=True),
    Column("spent_by", Id),
    Column("session_id", Id),
    **OPTIONS,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), index=True),
    Column("kind", Key(32), nullable=False),
    Column("sealed", Bytes(4096), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("due_at", Time, nullable=False, index=True),
    Column("expires_at", Time, nullable=False, index=True),
    **OPTIONS,
)

mail_quotas = Table(
    "mail_quotas",
    metadata,
    Column("subject", Bytes(32), primary_key=True),
    Column("mailed_at", Times(8 * MOST_AN_HOUR)),
    Column("expires_at", Time, nullable=False, index=True),
    **OPTIONS,
)
