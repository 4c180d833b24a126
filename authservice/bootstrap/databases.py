"""Engines for the configured database."""

from authservice.config import DatabaseSettings
from authservice.storage import hosts
from authservice.storage.embedded_file import FileId, file_id
from authservice.storage.engine import Engine, open_engine


def engine_for(settings: DatabaseSettings, *, pool_size: int, file: FileId | None = None) -> Engine:
    """Return an engine for the configured database. It must not cross a fork. For `file` see embedded_file.Files."""
    url = settings.database_address().get_secret_value()
    return open_engine(url, pool_size=pool_size, ca_file=settings.database_ca_file, file=file)


def file_of(settings: DatabaseSettings) -> FileId | None:
    """Return which file the embedded database is now. None for a server."""
    return file_id(settings.database_file) if settings.database_file else None


def engines_of_hosts(settings: DatabaseSettings) -> dict[str, Engine]:
    """Return an engine for each host of the configured database, by `host:port`."""
    urls = hosts.split(settings.database_address().get_secret_value())
    return {
        f"{url.host}:{url.port or 3306}": open_engine(url, pool_size=1, ca_file=settings.database_ca_file)
        for url in urls
    }
