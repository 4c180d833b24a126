"""Keys, sealed secrets, and the rules about revoked tokens."""

from sqlalchemy import Column, Index, Integer, Table

from authservice.storage.columns import Bytes, Id, Key, Number, Time
from authservice.storage.tables.form import OPTIONS, metadata

revocations = Table(
    "revocations",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("subject", Id, nullable=False),
    # 0 where the subject is a session, all of whose tokens are over.
    Column("min_generation", Integer, nullable=False),
    Column("token_end", Time, nullable=False),
    Index("ix_revocations_token_end", "token_end"),
    # Numbers are never used again, also after the highest row is deleted: watchers resume from them.
    sqlite_autoincrement=True,
    **{**OPTIONS, "sqlite_with_rowid": True},
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Key(64), primary_key=True),
    Column("alg", Key(16), nullable=False),
    Column("state", Key(16), nullable=False),
    # Equal to `state` for the one pending and the one active key, NULL for retired ones: the unique key admits no
    # second.
    Column("slot", Key(16), unique=True),
    Column("public", Bytes(1024), nullable=False),
    Column("sealed_private", Bytes(4096), nullable=False),
    Column("created_at", Time, nullable=False),
    Column("activated_at", Time),
    Column("retired_at", Time),
    **OPTIONS,
)

sealed_secrets = Table(
    "sealed_secrets",
    metadata,
    Column("purpose", Key(32), primary_key=True),
    Column("sealed", Bytes(256), nullable=False),
    Column("created_at", Time, nullable=False),
    **OPTIONS,
)
