"""Whatever sql_mode a server is set to, the service sets its own before anything is asked."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
import pytest

from authservice import bootstrap
from authservice.config import load
from authservice.domain.deadline import Deadline
from tests.conftest import CHEAPEST, MASTER_KEY, RecordedAudit, migrate
from tests.faults.seeding import Seeder
from tests.mariadb import MariaDb

# By the lists of MariaDB 11 and MySQL 9; each knows some of the other's no more, or not at all.
MODES = [
    *("ANSI", "ANSI_QUOTES", "PIPES_AS_CONCAT", "IGNORE_SPACE", "REAL_AS_FLOAT", "HIGH_NOT_PRECEDENCE"),
    *("NO_BACKSLASH_ESCAPES", "NO_UNSIGNED_SUBTRACTION", "PAD_CHAR_TO_FULL_LENGTH", "ONLY_FULL_GROUP_BY"),
    *("NO_AUTO_VALUE_ON_ZERO", "TRADITIONAL", "NO_DIR_IN_CREATE", "TIME_TRUNCATE_FRACTIONAL", "ALLOW_INVALID_DATES"),
    *("ORACLE", "MSSQL", "DB2", "MAXDB", "POSTGRESQL", "MYSQL40", "MYSQL323"),
    *("EMPTY_STRING_IS_NULL", "SIMULTANEOUS_ASSIGNMENT", "TIME_ROUND_FRACTIONAL", ""),
]
_NO_SUCH_MODE = 1231


@pytest.fixture
def server(mariadb: MariaDb) -> Iterator[MariaDb]:
    ((before,),) = mariadb.execute("SELECT @@GLOBAL.sql_mode")
    yield mariadb
    mariadb.execute(f"SET GLOBAL sql_mode = '{before}'")


def sets(server: MariaDb, mode: str) -> bool:
    """Set a mode. Tells whether the server knows it."""
    try:
        server.execute(f"SET GLOBAL sql_mode = '{mode}'")
    except pymysql.MySQLError as error:
        if error.args[0] == _NO_SUCH_MODE:
            return False
        raise
    return True


def test_a_database_is_migrated_and_used_in_every_mode(
    server: MariaDb, new_own_url: Callable[[], str], tmp_path: Path
) -> None:
    assert sets(server, "ANSI")
    url = new_own_url()
    migrate(url)
    known = [mode for mode in MODES if sets(server, mode) and _is_used(url, tmp_path, f"in{mode.lower()}")]
    assert {"ANSI", "NO_BACKSLASH_ESCAPES", "TRADITIONAL", ""} <= set(known)


def _is_used(url: str, folder: Path, name: str) -> bool:
    settings = load(database_url=url, data_dir=folder, master_key=MASTER_KEY)
    service = bootstrap.assemble(settings, audit=RecordedAudit(), hash_cost=CHEAPEST)
    try:
        seeds = Seeder(service)
        (tokens,) = seeds.sessions(seeds.user(name.replace("_", "")), 1)
        return bool(service.auth.verify(tokens.access_token, Deadline.after(5)))
    finally:
        service.close()
