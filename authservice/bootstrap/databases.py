"""Engines for the configured database."""

import contextlib
from collections.abc import Iterator

from authservice.config import DatabaseSettings
from authservice.storage import schema
from authservice.storage.engine import Engine, open_engine


def engine_for(settings: DatabaseSettings, *, pool_size: int) -> Engine:
    """Return an engine for the configured database. It must not cross a fork."""
    url = settings.database_address().get_secret_value()
    return open_engine(url, pool_size=pool_size, ca_file=settings.database_ca_file)


@contextlib.contextmanager
def migrated_engine(settings: DatabaseSettings) -> Iterator[Engine]:
    """Yield an engine for a database that has the schema of this version. Raises SchemaNotCurrent.

    The embedded file is made and migrated without asking. A shared database is not: other versions of the service may
    be using it.
    """
    if settings.is_sqlite:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = engine_for(settings, pool_size=2)
    try:
        if settings.is_sqlite:
            schema.migrate(engine)
        schema.require_current(engine)
        yield engine
    finally:
        engine.dispose()
