"""The state of the schema, and moving it forward."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from authservice.storage.embedded_file import make_file
from authservice.storage.engine import is_sqlite

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = "authservice_migrate"
_LOCK_SECONDS = 60


class SchemaNotCurrent(Exception):
    """The database has not been migrated to what this version of the service needs."""

    def __init__(self, found: str | None, needed: str) -> None:
        super().__init__(
            f"The database is at migration {found or 'none'}, this version needs {needed}. Run `authservice migrate`."
        )


def newest() -> str:
    """Return the revision that this version of the service needs."""
    # From the names of their files: alembic takes 150 ms to be imported, and few commands migrate.
    return max(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def current(engine: Engine) -> str | None:
    """Return the revision of the database, or None if it is empty."""
    with engine.connect() as connection:
        return _revision(connection)


def is_current(engine: Engine) -> bool:
    """Tell whether the database is at the newest revision, or beyond."""
    return not _is_behind(current(engine))


def require_current(engine: Engine) -> None:
    """Raise SchemaNotCurrent unless the database is at the newest revision, or beyond.

    A later version leaves a schema that this one still works on, so that servers of both may run and restart in any
    order.
    """
    if _is_behind(found := current(engine)):
        raise SchemaNotCurrent(found, newest())


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring the database to the newest revision, and make the file of an embedded one that is not there.

    Returns the revisions before and after.
    Servers that start together do it one after the other: SQLite by its write lock, MySQL by a named lock.
    """
    if is_sqlite(engine):
        make_file(engine.url)
    with _alone(engine) as connection:
        before = _revision(connection)
        if before is not None and not _is_behind(before):
            return before, before
        _upgrade(connection)
    return before, newest()


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - see newest
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return found


def _is_behind(found: str | None) -> bool:
    # Revisions are four digits, counted up.
    return found is None or found < newest()


@contextlib.contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    if is_sqlite(engine):
        with engine.begin() as connection:
            yield connection
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), {"name": _LOCK, "seconds": _LOCK_SECONDS})
        connection.commit()
        try:
            with connection.begin():
                yield connection
        finally:
            connection.rollback()
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK})
