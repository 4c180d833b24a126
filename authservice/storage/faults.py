"""What a database error means for the transaction that met it."""

import sqlite3
from enum import Enum

import pymysql
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error, pymysql.MySQLError)
"""What SQLAlchemy raises, and what drivers do where they are asked themselves."""


class Fault(Enum):
    """What to do about a failed transaction."""

    CONFLICT = "run it again after a moment"
    LOST = "run it again on another connection; the commit may or may not have happened"
    AWAY = "tell the caller to come back"
    UNFORESEEN = "report it"


# Deadlock, lock wait time-out, and a snapshot that another commit made stale (innodb_snapshot_isolation).
_CONFLICTS = {1213, 1205, 1020}
# Too many connections, not the primary component, shutting down, disk or table full, read-only, user's connection
# limit.
_AWAY = {3, 1021, 1040, 1047, 1053, 1114, 1203, 1226, 1290, 1836, 2002, 2003}
# Gone or lost, killed, network read and write errors and time-outs, idle connection closed by the server.
_LOST = {0, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2055, 4031}
_SQLITE_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
_PRIMARY_CODE = 0xFF


def judge(error: Exception) -> Fault:
    """Say what an error of SQLAlchemy or of a driver means."""
    if isinstance(error, PoolTimeout):
        return Fault.AWAY
    if isinstance(error, DBAPIError):
        lost = Fault.LOST if error.connection_invalidated else Fault.UNFORESEEN
        cause = _judge_driver(error.orig) if error.orig else Fault.UNFORESEEN
        return cause if cause is not Fault.UNFORESEEN else lost
    return Fault.UNFORESEEN if isinstance(error, SQLAlchemyError) else _judge_driver(error)


def _judge_driver(error: BaseException) -> Fault:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        return Fault.AWAY if code in _SQLITE_AWAY else Fault.UNFORESEEN
    if isinstance(error, pymysql.err.OperationalError | pymysql.err.InternalError | pymysql.err.InterfaceError):
        code = error.args[0] if error.args and isinstance(error.args[0], int) else -1
        for codes, fault in ((_CONFLICTS, Fault.CONFLICT), (_AWAY, Fault.AWAY), (_LOST, Fault.LOST)):
            if code in codes:
                return fault
    return Fault.LOST if isinstance(error, OSError | EOFError) else Fault.UNFORESEEN
