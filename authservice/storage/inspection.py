"""What is unsafe about a database's settings, for `doctor` and for the start of a server."""

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from authservice.domain.errors import StorageUnavailable
from authservice.storage.embedded_file import require_in_place
from authservice.storage.engine import is_sqlite
from authservice.storage.faults import DATABASE_ERRORS
from authservice.storage.tables import metadata

MAX_CLOCK_DIFFERENCE = timedelta(seconds=5)
"""What `doctor` lets pass. A server serves up to clocks.MOST_APART."""
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Finding:
    """One unsafe thing: what it is, what to do, and whether it breaks a promise, so that a server must not start."""

    what: str
    remedy: str
    breaks_promise: bool


def inspect(engine: Engine) -> list[Finding]:
    """Return what is unsafe. Raises SQLAlchemyError if the database does not answer."""
    with engine.connect() as connection:
        return _inspect_sqlite(connection) if is_sqlite(engine) else _inspect_mysql(connection)


def clock_difference(engine: Engine) -> timedelta:
    """Return how far the database's clock is ahead of this machine's. Zero for SQLite."""
    if is_sqlite(engine):
        return timedelta(0)
    with engine.connect() as connection:
        theirs: datetime = connection.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
    return theirs.replace(tzinfo=UTC) - datetime.now(UTC)


def ping(engine: Engine) -> None:
    """Ask the database for the simplest answer. Raises StorageUnavailable.

    Not in a transaction: on SQLite that would wait for writers, and reading goes on beside them.
    """
    try:
        with contextlib.closing(engine.raw_connection()) as connection:
            require_in_place(connection)
            cursor = connection.cursor()
            cursor.execute("SELECT 1")
            cursor.fetchall()
            cursor.close()
    except DATABASE_ERRORS as error:
        raise StorageUnavailable from error


def require_serving(engine: Engine) -> None:
    """Raise SQLAlchemyError or an error of the driver unless this host would be chosen, which connecting finds out."""
    engine.raw_connection().close()


def _inspect_sqlite(connection: Connection) -> list[Finding]:
    outcome = connection.execute(text("PRAGMA quick_check")).scalar_one()
    if outcome == "ok":
        return []
    return [Finding("the SQLite file is damaged", "restore it from a backup", breaks_promise=True)]


def _inspect_mysql(connection: Connection) -> list[Finding]:
    rows = connection.execute(text("SHOW GLOBAL VARIABLES"))
    settings = {str(name).lower(): str(value) for name, value in rows}
    findings = [*_durability(settings), *_schema(connection), *_transport(connection)]
    if settings.get("wsrep_on") == "ON":
        findings += _galera(settings)
    if settings.get("group_replication_group_name"):
        findings += _group(settings)
    return findings


def _durability(settings: dict[str, str]) -> list[Finding]:
    findings = []
    if settings.get("innodb_flush_log_at_trx_commit") not in ("1", "3"):
        findings.append(
            Finding(
                "innodb_flush_log_at_trx_commit is not 1: acknowledged writes may be lost in a crash",
                "SET GLOBAL innodb_flush_log_at_trx_commit = 1, and in the server's configuration file",
                breaks_promise=True,
            )
        )
    if settings.get("log_bin") == "ON" and settings.get("sync_binlog") != "1":
        findings.append(
            Finding(
                "sync_binlog is not 1: replicas may miss acknowledged writes after a crash",
                "SET GLOBAL sync_binlog = 1, and in the server's configuration file",
                breaks_promise=False,
            )
        )
    if "STRICT" not in settings.get("sql_mode", ""):
        findings.append(
            Finding(
                "the server's sql_mode is not strict: other clients may store cut-off values, this service does not",
                "add STRICT_TRANS_TABLES to sql_mode in the server's configuration file",
                breaks_promise=False,
            )
        )
    zone = settings.get("time_zone", "")
    if (settings.get("system_time_zone", "") if zone == "SYSTEM" else zone) not in ("+00:00", "UTC"):
        findings.append(
            Finding(
                "the server's time zone is not UTC: times read by hand will mislead (this service sets its own)",
                "set default_time_zone = '+00:00' in the server's configuration file",
                breaks_promise=False,
            )
        )
    return findings


def _schema(connection: Connection) -> list[Finding]:
    rows = connection.execute(
        text(
            "SELECT table_name, column_name, data_type, collation_name FROM information_schema.columns "
            "WHERE table_schema = DATABASE()"
        )
    )
    findings = []
    stored = {(str(row[0]), str(row[1])): (str(row[2]).lower(), row[3]) for row in rows}
    for table in metadata.tables.values():
        for column in table.columns:
            data_type, collation = stored.get((table.name, column.name), ("", None))
            if collation and not str(collation).endswith("_bin"):
                findings.append(_folds(table.name, column.name, str(collation)))
            elif data_type in ("varchar", "text") and (column.unique or column.primary_key):
                findings.append(_folds(table.name, column.name, "a text type, which pads"))
    return findings


def _folds(table: str, column: str, collation: str) -> Finding:
    return Finding(
        f"{table}.{column} is compared as {collation}: different values may count as the same",
        "restore the column to what `authservice migrate` made",
        breaks_promise=True,
    )


def _transport(connection: Connection) -> list[Finding]:
    cipher = connection.execute(text("SHOW SESSION STATUS LIKE 'Ssl_cipher'")).one()[1]
    driver: Any = connection.connection.dbapi_connection
    if cipher or driver.host in _LOCAL_HOSTS:
        return []
    return [
        Finding(
            "the connection to the database leaves this machine without TLS",
            "set AUTHSERVICE_DATABASE_CA_FILE",
            breaks_promise=False,
        )
    ]


def _galera(settings: dict[str, str]) -> list[Finding]:
    if settings.get("wsrep_sync_wait") in ("1", "3", "5", "7", "9", "11", "13", "15"):
        return []
    return [
        Finding(
            "wsrep_sync_wait is off on this Galera node: other clients may read stale data (this service sets its own)",
            "SET GLOBAL wsrep_sync_wait = 1, and in the server's configuration file",
            breaks_promise=False,
        )
    ]


def _group(settings: dict[str, str]) -> list[Finding]:
    if settings.get("group_replication_consistency") in ("BEFORE", "BEFORE_AND_AFTER"):
        return []
    return [
        Finding(
            "group_replication_consistency is not BEFORE in this group: other clients may read stale data (this "
            "service sets its own)",
            "SET PERSIST group_replication_consistency = 'BEFORE' on each member",
            breaks_promise=False,
        )
    ]
