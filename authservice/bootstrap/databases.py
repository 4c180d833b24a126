"""Engines for the configured database."""

from authservice.config import DatabaseSettings
from authservice.storage.engine import Engine, open_engine


def engine_for(settings: DatabaseSettings, *, pool_size: int) -> Engine:
    """Return an engine for the configured database. It must not cross a fork."""
    url = settings.database_address().get_secret_value()
    return open_engine(url, pool_size=pool_size, ca_file=settings.database_ca_file)
