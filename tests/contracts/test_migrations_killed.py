"""A migration that is killed goes on where it stopped, whichever statement was its last."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, text

from authservice.storage import schema
from authservice.storage.engine import open_engine
from authservice.storage.tables import metadata
from tests.sampling import some

_MIGRATE = """
import os, signal, sys
from sqlalchemy import event, text
from authservice.storage import schema
from authservice.storage.engine import open_engine

def migrate(url, left):
    engine = open_engine(url, pool_size=1)

    @event.listens_for(engine, "after_cursor_execute")
    def count(_connection, _cursor, statement, *_):
        nonlocal left
        left -= statement.lstrip().startswith(("CREATE", "ALTER", "INSERT", "UPDATE"))
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    schema.migrate(engine)

for last, url in (each.split(" ", 1) for each in sys.argv[1:]):
    child = os.fork()
    if not child:
        migrate(url, int(last))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, last
"""
"""`schema.migrate` on several databases: the first is killed after one statement that changes something, and so on."""


def changes(url: str) -> int:
    """Migrate an empty database, and return how many statements changed something."""
    made = 0
    engine = open_engine(url, pool_size=1)

    @event.listens_for(engine, "after_cursor_execute")
    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal made
        made += statement.lstrip().startswith(("CREATE", "ALTER", "INSERT", "UPDATE"))

    schema.migrate(engine)
    engine.dispose()
    return made


def definitions(url: str) -> list[str]:
    """Return how a database would make its tables and indexes again, and the migration that it says it has."""
    engine = open_engine(url, pool_size=1)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            found = list(connection.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")).scalars())
        else:
            tables = connection.execute(text("SHOW TABLES")).scalars().all()
            found = [connection.execute(text(f"SHOW CREATE TABLE {table}")).one()[1] for table in tables]
        found += connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
    engine.dispose()
    return sorted(found)


def is_whole(url: str) -> bool:
    """Tell whether a database has what the code believes in, and says so."""
    engine = open_engine(url, pool_size=1)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        whole = compare_metadata(context, metadata) == [] and context.get_current_revision() == schema.newest()
    engine.dispose()
    return whole


@pytest.fixture
def new_url(backend: str, tmp_path: Path, new_mariadb_url: Callable[[], str]) -> Callable[[str], str]:
    """Return what makes an empty database."""
    return lambda name: f"sqlite:///{tmp_path / name}.db" if backend == "sqlite" else new_mariadb_url()


def test_a_migration_killed_after_any_statement_is_completed_by_the_next(new_url: Callable[[str], str]) -> None:
    unhurt = new_url("whole")
    total = changes(unhurt)
    assert total > 12, "tables, indexes, columns, and the numbers of the migrations"
    assert is_whole(unhurt)
    whole = definitions(unhurt)
    urls = {last: new_url(f"killed-after-{last}") for last in some(range(1, total + 1), step=5)}
    command = [sys.executable, "-c", _MIGRATE, *(f"{last} {url}" for last, url in urls.items())]
    subprocess.run(command, check=True, timeout=300)
    for last, url in urls.items():
        engine = open_engine(url, pool_size=1)
        schema.migrate(engine)
        engine.dispose()
        assert definitions(url) == whole, last
