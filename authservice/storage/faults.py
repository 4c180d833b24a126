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


# By the error lists of MariaDB 10.6 to 11.4 and MySQL 8.0 and 8.4.
_CONFLICTS = {
    1020,  # the snapshot was made stale by another commit (innodb_snapshot_isolation)
    1205,  # waited too long for a lock
    1206,  # more locks than fit into memory
    1213,  # deadlock, or rolled back by another node of the cluster
    1317,  # an administrator has killed the statement, not the connection
    1614,  # deadlock
    3101,  # rolled back while committing, by another node of the group
    3572,  # would have had to wait for a lock
}
_AWAY = {
    *(3, 1021, 1114, 1878),  # no room on a disk, or in a table or a temporary file
    *(1037, 1038, 1041, 1135),  # no memory, or no more threads
    *(1040, 1203, 1226, 1637),  # too many connections, of all or of this user; too many transactions
    *(1047, 1053, 3168),  # not in the primary component, shutting down, not ready
    *(1290, 1792, 1836),  # read-only: the server, the transaction
    *(1969, 3024),  # the statement took longer than the server allows
    *(1044, 1045, 1130, 1142, 1143, 1698),  # the user or its password is refused, or its rights were taken
    *(1129, 1820, 1862, 3118, 3955, 4151),  # the host is blocked; the password has expired; the account is locked
    *(2002, 2003, 2005, 2026),  # cannot be reached, or not by TLS
}
_DURING_COMMIT = 1180
_DEADLOCK = "149 "
"""What the storage engine says in such an error where another member of the group has won."""
_LOST = {
    *(0, 2006, 2013, 2055),  # gone, or lost while waiting for the answer
    *(1152, 1158, 1159, 1160, 1161, 1184),  # errors and time-outs of the network, as the server saw them
    *(1077, 1079, 1927, 4031),  # ended by the server, killed, or closed because it was idle
}
_OF_THIS_HOST = {1047, 1053, 1290, 1792, 1836}
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


def is_of_this_host(error: Exception) -> bool:
    """Tell whether another host of the same cluster may well do what this one refuses: it is cut off, or read-only."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, pymysql.MySQLError) and bool(cause.args) and cause.args[0] in _OF_THIS_HOST


def _judge_driver(error: BaseException) -> Fault:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        return Fault.AWAY if code in _SQLITE_AWAY else Fault.UNFORESEEN
    if isinstance(error, pymysql.err.OperationalError | pymysql.err.InternalError | pymysql.err.InterfaceError):
        code = error.args[0] if error.args and isinstance(error.args[0], int) else -1
        if code == _DURING_COMMIT:
            return Fault.CONFLICT if _DEADLOCK in str(error) else Fault.AWAY
        for codes, fault in ((_CONFLICTS, Fault.CONFLICT), (_AWAY, Fault.AWAY), (_LOST, Fault.LOST)):
            if code in codes:
                return fault
    return Fault.LOST if isinstance(error, OSError | EOFError) else Fault.UNFORESEEN
