"""Opening the service for one command."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authservice import config, logs
from authservice.config import ConfigError, Settings
from authservice.domain.deadline import Deadline

if TYPE_CHECKING:
    from authservice import bootstrap

COMMAND_SECONDS = 30.0
may_begin_anew = click.option(
    "--new", "is_new", is_flag=True, help="Make a new SQLite file where an earlier one is gone and its key is left."
)
"""The option of what makes a database."""
WHERE_IT_IS = (
    "run this in the folder of `serve`, or set AUTHSERVICE_DATA_DIR or AUTHSERVICE_DATABASE_URL as there; "
    "`authservice migrate` makes a new one"
)

_DECIDE_WHERE = {
    *("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_PASSWORD_FILE", "DB_NAME"),
    *("AUTHSERVICE_DATABASE_URL", "AUTHSERVICE_DATABASE_URL_FILE", "AUTHSERVICE_DATA_DIR"),
    *("JWT_SECRET", "JWT_SECRET_FILE", "AUTHSERVICE_MASTER_KEY", "AUTHSERVICE_MASTER_KEY_FILE"),
}
"""The settings that say where the data is and what seals it."""


def deadline() -> Deadline:
    """Return how long a command may take."""
    return Deadline.after(COMMAND_SECONDS)


@contextlib.contextmanager
def service(
    settings: Settings | None = None, *, may_create: bool = False, is_new: bool = False
) -> Iterator["bootstrap.Service"]:
    """Yield the service on a database that is known to be migrated. Raises ConfigError, SchemaNotCurrent.

    Args:
        may_create: make the embedded database if it is not there, as only a verb that fills it should.
        is_new: make it also in the place of one that was lost.
    """
    settings = settings or config.load()
    logs.configure(settings.log_level, settings.log_format)  # What operators do belongs into the audit log too.
    for stray in config.strays():
        click.echo(str(stray), err=True)
    if missing := missing_file(settings):
        if not may_create:
            raise ConfigError(f"There is no database {missing}. To do: {remedy_for_missing(settings, missing)}.")
        require_meant(settings, is_new=is_new)
        settings.require_strong_secret()
        settings.master_keys()
        click.echo(f"Making the new database {missing}.", err=True)
    # Here, because it takes half a second, and what is wrong so far can be said at once.
    from authservice import bootstrap  # noqa: PLC0415
    from authservice.bootstrap.migrated import migrated_engine  # noqa: PLC0415

    with migrated_engine(settings, is_new=is_new):
        pass  # Its engine is for the schema alone; the service opens its own.
    assembled = bootstrap.assemble(settings)
    try:
        yield assembled
    finally:
        assembled.close()


def missing_file(settings: Settings) -> Path | None:
    """Return the absolute path of the embedded database if it should be a file and is not there."""
    path = settings.database_file
    return None if path is None or path.exists() else path


def remedy_for_missing(settings: Settings, file: Path) -> str:
    """Return what to do where an embedded database is not there: to make one helps where that is possible."""
    if config.remains(settings):
        return config.WAYS_BACK
    there = next(folder for folder in file.parents if folder.exists())
    if not there.is_dir():
        return f"move {there} away, which is no folder, or set AUTHSERVICE_DATA_DIR to one"
    if os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        return WHERE_IT_IS
    return f"let this user write {there}, or set AUTHSERVICE_DATA_DIR to a folder that it may write"


def require_meant(settings: Settings, *, is_new: bool) -> None:
    """Raise ConfigError where a new embedded database would be made because a variable is misspelt, or a file is lost.

    Args:
        is_new: whether it was said that a lost one is to be followed by a new one.
    """
    slips = [stray for stray in config.strays() if stray.meant in _DECIDE_WHERE]
    if slips and (missing := missing_file(settings)):
        raise ConfigError("\n".join([*map(str, slips), f"So the new database {missing} is not made."]))
    if not is_new and missing_file(settings):
        config.require_no_remains(settings, "is not there")
