"""The database at the schema of this version.

Apart from the rest: what migrates takes 9 MiB, which no worker needs.
"""

import contextlib
from collections.abc import Iterator

from authservice.bootstrap.databases import engine_for
from authservice.config import DatabaseSettings
from authservice.storage import schema
from authservice.storage.engine import Engine


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
        if settings.is_sqlite and not schema.is_current(engine):
            schema.migrate(engine)
        schema.require_current(engine)
        yield engine
    finally:
        engine.dispose()
