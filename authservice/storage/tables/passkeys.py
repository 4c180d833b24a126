"""The passkeys of users."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Table

from authservice.storage.columns import Bytes, Id, Time, Words, text
from authservice.storage.tables.form import OPTIONS, metadata

passkeys = Table(
    "passkeys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("credential_id", Bytes(1023), nullable=False, unique=True),
    Column("public_key", Bytes(1024), nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", Words(64)),
    Column("is_backed_up", Boolean, nullable=False),
    Column("name", text(64), nullable=False),
    Column("created_at", Time, nullable=False),
    Column("last_used_at", Time),
    **OPTIONS,
)
