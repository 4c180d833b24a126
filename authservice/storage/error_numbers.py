"""What an error number of the database says of its state. A number that is not here tells of a defect of ours.

Gone through for this: all that MySQL 9.7 (which lists those of 8.0 and 8.4 too), MariaDB 10.11 and 11.8 and PyMySQL may
say to a client. Left out is what is said only about statements that are not ours: of replication, of stored programs.
Where the servers give one number to two things, as 4031 and 4151, the other is one of these.
tests/contracts/test_error_numbers.py goes over the lists of the driver and of the server that is there.
"""

import re
import sqlite3
from collections.abc import Mapping
from enum import Enum

import pymysql


class State(Enum):
    """What a database tells by an error."""

    CONFLICT = "another transaction was in the way; this one was rolled back"
    LOST = "the connection has ended, and nobody knows what became of its transaction"
    UNREACHABLE = "it does not take the connection now"
    CUT_OFF = "this host is not part of its cluster, or about to end"
    READ_ONLY = "this host may not be written to"
    USED_UP = "room on a disk, memory or something else that is limited is used up"
    DAMAGED = "a file or table is broken or gone, or its device"
    REFUSED = "it does not let the service do this: a password, a right, the schema or a setting is to be put right"


_MYSQL: Mapping[State, tuple[int, ...]] = {
    State.CONFLICT: (
        1020,  # the snapshot was made stale by another commit (innodb_snapshot_isolation)
        *(1205, 1689, 3572),  # waited too long for a lock, was sent away from it, or would have had to wait
        *(1206, 3177),  # more locks than fit into memory, or not this lock
        *(1213, 1614, 3058, 3132),  # deadlock; of 1213 also: rolled back by another node of the cluster
        *(1402, 1613, 3101),  # rolled back while committing; 3101 by another member of the group
        1317,  # an administrator has killed the statement, not the connection
        *(1412, 1615),  # the table was altered meanwhile
    ),
    State.LOST: (
        *(0, 2006, 2013, 2027, 2055),  # gone, or lost while waiting for the answer
        *range(1154, 1162),  # errors and time-outs of the network, as the server saw them
        *(1152, 1184, 1835),  # aborted; a packet that cannot be read
        *(1077, 1078, 1079, 1080, 1927, 3169),  # ended by the server, or killed
        *(4031, 4081, 4082),  # closed because it was idle, or for the memory that it took
    ),
    State.UNREACHABLE: (
        *(2001, 2002, 2003, 2004, 2005, 2012),  # nobody answers there
        *(1042, 1043),  # it does not know this machine's name, or did not understand the greeting
        *(1040, 1203, 1226),  # too many connections, of all or of this user
        1135,  # no thread for it
    ),
    State.CUT_OFF: (
        1047,  # not in the primary component (Galera)
        *(1053, 3168),  # shutting down, not ready
        *(3032, 6400),  # offline_mode
        3100,  # the group was not reached, or this member has left it, while committing
        *(3781, 3782, 3783),  # held back by a new primary, until that failed
        *(3796, 3797, 3798, 3799),  # group_replication_consistency: this member cannot catch up with the others
        *(4094, 6141),  # the primary is changing, or the group too busy to take the connection
    ),
    State.READ_ONLY: (
        *(1290, 1792, 1836),  # the server, the transaction
        *(1036, 3989),  # the table, the database
        *(1874, 1881),  # InnoDB: innodb_read_only, innodb_force_recovery
    ),
    State.USED_UP: (
        *(1021, 1026, 1114, 1878, 3675, 3884, 4139),  # a disk, a table, its index, temporary files
        *(1197, 1705, 3019),  # the caches of the binary log, the undo log
        *(1037, 1038, 1041, 3015, 3044, 3170, 3950, 3985, 2008),  # memory
        *(1028, 1119, 1436),  # what a sort needs, the stack of a thread
        *(1587, 1637),  # open files, transactions
        *(1969, 3024),  # the time that the server allows a statement
    ),
    State.DAMAGED: (
        *range(1, 100),  # what files, disks and memory of the server's machine do to it (mysys)
        *(1004, 1005, 1006, 1012, 1013, 1014, 1015, 1016, 1017, 1018, 1019, 1023, 1024, 1025),  # the same, said again
        *(1030, 1180, 1181, 1182, 1296, 1297),  # what the storage engine says, unless that is a conflict
        *(1032, 1033, 1034, 1035, 1194, 1195, 1877, 1932, 1939),  # a table
        *(1712, 1728, 1805, 1817, 3000, 3009, 1558),  # an index, a file, a table of the server's own
        *(1459, 1707, 1808, 1812, 1814, 3510, 3629),  # a table is to be rebuilt, or its file is not there
        *(1810, 1811, 1815),  # InnoDB could not read or write, or says no more than that
        *(3185, 3784, 3785, 3786, 3787, 3794, 3801),  # the keys of encrypted files
        *(1098, 1374, 1376, 1534, 1593, 1598, 1866),  # the binary log
        *(3506, 3507, 3508, 3509, 3525, 3679, 3681, 3881),  # MySQL's dictionary and system tables
        1105,  # "Unknown error": of what stands before a server, such as Vitess, anything
    ),
    State.REFUSED: (
        *(1045, 1698, 1873, 6126, 6127),  # the user or the password
        *(1820, 1862, 3118, 3955, 4150, 4151),  # the password has expired, the account is locked
        *(1129, 1130),  # the host is blocked, or none that the user may come from
        *(1251, 1275, 1524, 2007, 2049, 2054, 2059, 2061),  # the way to authenticate
        *(2026, 3159),  # TLS
        *(1044, 1142, 1143, 1227, 1370, 1449, 3879, 6038),  # rights were taken or never given
        *(3164, 6444, 6544),  # a firewall or an audit in the server says no
        *(1046, 1049, 3503),  # the database is not there
        *(1051, 1054, 1146, 1176, 1364),  # a table, column, index or default is not as it was migrated
        *(1104, 1153, 1162, 1175, 2020),  # max_join_size, max_allowed_packet, sql_safe_updates
        *(1193, 1231, 1286, 3003, 3161, 4182, 4185),  # a server without a variable, a value or an engine that is needed
        *(1661, 1662, 1663, 1664, 1665, 1667),  # what binlog_format cannot write
        *(3098, 3750),  # enforce_update_everywhere_checks, sql_require_primary_key
    ),
}
_SQLITE: Mapping[State, tuple[int, ...]] = {
    State.UNREACHABLE: (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL),
    State.READ_ONLY: (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM),
    State.USED_UP: (sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM),
    State.DAMAGED: (
        *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOLFS),
        *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
    ),
}
"""By SQLite's primary result codes."""

OF_MYSQL = {number: state for state, numbers in _MYSQL.items() for number in numbers}
OF_SQLITE = {number: state for state, numbers in _SQLITE.items() for number in numbers}

_OF_THE_ENGINE = {1030, 1180}
"""These repeat a number of the storage engine: Got error 149 ... during COMMIT."""
_ENGINE_CONFLICTS = {123, 125, 146, 149}
"""Such numbers: the row was changed, rolled back, waited too long, deadlock, with another member of a group too."""
_PRIMARY_CODE = 0xFF


def number_of(error: BaseException) -> int | None:
    """Return the error number of a driver's error, of SQLite the primary result code; None where it has none."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    number = error.args[0] if error.args else None
    return number if isinstance(number, int) else None


def state_of(error: BaseException) -> State | None:
    """Return what an error of a driver says of the database, None where it says nothing of it."""
    number = number_of(error)
    if isinstance(error, sqlite3.Error):
        return OF_SQLITE.get(number or 0)
    if number is None:
        # PyMySQL's own words, about greetings and packets that it does not understand.
        is_of_the_way = type(error) in (pymysql.err.Error, pymysql.err.OperationalError, pymysql.err.InternalError)
        return State.LOST if is_of_the_way else None
    if number in _OF_THE_ENGINE and _engine_number(error) in _ENGINE_CONFLICTS:
        return State.CONFLICT
    return OF_MYSQL.get(number)


def _engine_number(error: BaseException) -> int:
    said = re.search(r"error (\d+)", str(error.args[1:]))
    return int(said[1]) if said else 0
