"""The migrations make the tables that the code believes in, on each database."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from authservice.config import Settings
from authservice.storage import schema
from authservice.storage.columns import Bytes, Id, Key
from authservice.storage.engine import is_sqlite, open_engine
from authservice.storage.tables import metadata
from authservice.storage.tables.trust import revocations

COUNTED = revocations.c.seq
"""The one key that is a number which the database counts up: it orders rules, and identifies nothing to a caller."""


def test_migrations_and_tables_agree(database_url: str) -> None:
    engine = open_engine(database_url, pool_size=1)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_migrating_twice_or_at_once_is_harmless(settings: Settings) -> None:
    engine = open_engine(settings.database_address().get_secret_value(), pool_size=4)
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(lambda _: schema.migrate(engine), range(4)))
    assert outcomes == [(schema.newest(), schema.newest())] * 4
    engine.dispose()


def test_a_database_at_another_migration_is_refused_with_what_to_do(database_url: str) -> None:
    engine = open_engine(database_url, pool_size=1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(schema.SchemaNotCurrent, match="authservice migrate"):
        schema.require_current(engine)
    engine.dispose()


def test_whatever_decides_identity_is_compared_byte_by_byte(database_url: str) -> None:
    engine = open_engine(database_url, pool_size=1)
    if not is_sqlite(engine):
        with engine.connect() as connection:
            folding = connection.execute(
                text(
                    "SELECT table_name, column_name, collation_name FROM information_schema.columns "
                    "WHERE table_schema = DATABASE() AND table_name <> 'alembic_version' "
                    "AND collation_name IS NOT NULL AND collation_name <> 'utf8mb4_bin'"
                )
            ).all()
        assert folding == []
    for table in metadata.tables.values():
        for column in table.columns:
            if (column.primary_key or column.unique) and column is not COUNTED:
                assert isinstance(column.type, Id | Key | Bytes), f"{table.name}.{column.name}"
    engine.dispose()
