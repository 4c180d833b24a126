"""What proves users beside their passwords, and what waits for such a proof."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, Table

from authservice.storage.columns import Bytes, Id, Key, Time, Words, text
from authservice.storage.tables.form import OPTIONS, metadata

totp_factors = Table(
    "totp_factors",
    metadata,
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("sealed", Bytes(256), nullable=False),
    Column("created_at", Time, nullable=False),
    Column("confirmed_at", Time),
    Column("last_step", BigInteger),
    **OPTIONS,
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("code_hash", Bytes(32), primary_key=True),
    Column("created_at", Time, nullable=False),
    **OPTIONS,
)

challenges = Table(
    "challenges",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("purpose", Key(16), nullable=False),
    Column("secret_hash", Bytes(32), nullable=False),
    Column("secret_generation", Integer, nullable=False),
    Column("tries_left", Integer, nullable=False),
    Column("auth_methods", Words(64)),
    Column("client_label", text(64), nullable=False),
    Column("network", Key(64)),
    Column("is_remembered", Boolean, nullable=False),
    Column("expires_at", Time, nullable=False, index=True),
    **OPTIONS,
)
