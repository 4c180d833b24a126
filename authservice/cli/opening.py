"""Opening the service for one command."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click
from sqlalchemy import make_url

from authservice import bootstrap, config, logs
from authservice.bootstrap.migrated import migrated_engine
from authservice.config import ConfigError, Settings
from authservice.domain.deadline import Deadline

COMMAND_SECONDS = 30.0
WHERE_IT_IS = (
    "run this in the folder of `serve`, or set AUTHSERVICE_DATA_DIR or AUTHSERVICE_DATABASE_URL as there; "
    "`authservice migrate` makes a new one"
)


def deadline() -> Deadline:
    """Return how long a command may take."""
    return Deadline.after(COMMAND_SECONDS)


@contextlib.contextmanager
def service(settings: Settings | None = None, *, may_create: bool = False) -> Iterator[bootstrap.Service]:
    """Yield the service on a database that is known to be migrated. Raises ConfigError, SchemaNotCurrent.

    Args:
        may_create: make the embedded database if it is not there, as only a verb that fills it should.
    """
    settings = settings or config.load()
    logs.configure(settings.log_level, settings.log_format)  # What operators do belongs into the audit log too.
    if missing := missing_file(settings):
        if not may_create:
            raise ConfigError(f"There is no database {missing}. To do: {WHERE_IT_IS}.")
        click.echo(f"Making the new database {missing}.", err=True)
    with migrated_engine(settings):
        pass  # Its engine is for the schema alone; the service opens its own.
    assembled = bootstrap.assemble(settings)
    try:
        yield assembled
    finally:
        assembled.close()


def missing_file(settings: Settings) -> Path | None:
    """Return the absolute path of the embedded database if it should be a file and is not there."""
    if not settings.is_sqlite:
        return None
    name = make_url(settings.database_address().get_secret_value()).database or ":memory:"
    path = Path(name).absolute()
    return None if name == ":memory:" or name.startswith("file:") or path.exists() else path
