"""The database at the schema of this version.

Apart from the rest: what migrates takes 9 MiB, which no worker needs.
"""

import contextlib
from collections.abc import Iterator

from authservice.bootstrap.databases import engine_for
from authservice.config import Settings, is_there, require_no_remains
from authservice.storage import schema
from authservice.storage.engine import Engine


@contextlib.contextmanager
def migrated_engine(settings: Settings, *, is_new: bool = False) -> Iterator[Engine]:
    """Yield an engine for a database that has the schema of this version. Raises SchemaNotCurrent, ConfigError.

    The embedded file is made and migrated without asking. A shared database is not: other versions of the service may
    be using it. With `is_new`, one is also made where an earlier one was lost.
    """
    if settings.is_sqlite:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = engine_for(settings, pool_size=2)
    try:
        if settings.is_sqlite and not (_is_there(settings) and schema.is_current(engine)):
            require_filled(settings, engine, is_new=is_new)
            schema.migrate(engine)
        schema.require_current(engine)
        yield engine
    finally:
        engine.dispose()


def require_filled(settings: Settings, engine: Engine, *, is_new: bool) -> None:
    """Raise ConfigError where the embedded file is gone or empty, and of what was in it something is left."""
    if not settings.is_sqlite or is_new:
        return
    if not _is_there(settings):
        require_no_remains(settings, "is not there, or empty")
    elif schema.current(engine) is None:
        require_no_remains(settings, "is empty")


def _is_there(settings: Settings) -> bool:
    return settings.database_file is None or is_there(settings.database_file)
