"""Every error number that the driver or the server knows is either a state of the database or never said to us."""

import inspect
import re
import shutil
import sqlite3
import subprocess

import pymysql
import pytest
from pymysql.constants import CR, ER
from sqlalchemy.exc import DBAPIError, OperationalError

from authservice.storage.error_numbers import OF_MYSQL
from authservice.storage.faults import Fault, is_of_this_host, judge
from tests.mariadb import MariaDb

GONE_THROUGH = {"MySQL": 6579, "MariaDB": 4208}
"""The last number of each, when its list was gone through. A server that knows more asks for that to be done again."""
OF_THE_LOG = 10_000
"""From here on MySQL numbers what it writes into its own log."""

OF_A_STATE = re.compile(
    "DEADLOCK|LOCK_WAIT|LOCK_ABORTED|NOWAIT|ROLLBACK_DURING|DEF_CHANGED|REPREPARE|INTERRUPTED|KILLED"
    "|ABORT|_NET_|HANDSHAKE|HOST_|CON_COUNT|CONNECTIONS|CONN_LIMIT|USER_LIMIT|CREATE_THREAD|SHUTDOWN|ISNT_AVAILABLE"
    "|OFFLINE|HOLD_|TRX_CONSISTENCY|PRIMARY_CHANGE|HANDOFF|DURING_COMMIT|RUN_HOOK|INACTIVITY|INTERACTION"
    "|READ_ONLY|READONLY|PREVENTS_STATEMENT|FORCED_RECOVERY|FULL|OUT_OF_(MEMORY|RES|SORT)|OUTOFMEMORY|OOM|BAD_ALLOC"
    "|CAPACITY|STACK_OVERRUN|TIMEOUT|CONCURRENT_TRXS|CORRUPT|CRASHED|NOT_KEYFILE|TABLESPACE_(MISSING|DISC)|IO_\\w+_ERROR"
    "|FILE_NOT_FOUND|OPEN_FILE|ERROR_ON_|CANT_(LOCK|READ_DIR|GET_STAT)|GET_ERR|UNKNOWN_ERROR|INTERNAL_ERROR"
    "|DENIED|BLOCKED|BEEN_LOCKED|MUST_CHANGE_PASSWORD|AUTH_MODE|TRANSPORT_REQUIRED|NOT_LOADED|FIREWALL|NOT_PRIVILEGED"
    "|NO_DB|BAD_DB|NO_SUCH_(TABLE|DB)|BAD_FIELD|SAFE_MODE|TOO_BIG_SELECT|PACKET_TOO_LARGE|UNKNOWN_STORAGE"
)
"""What is in the names of errors that tell of a state."""
OF_OTHERS = re.compile(
    "SLAVE|REPLICA|RPL|MASTER|SOURCE|GTID|MT[AS]_|CLONE|_LH_|BULK|JSON|JDV|PARTITION|VIEW|TRG|EVENT|UDF|GIS|REGEX|(^|_)SP_"
    "|FULLTEXT|KEYRING_MIG|REDO_LOG_ARCHIVE|AUDIT_LOG_(COMP|DIS|FAIL|INV)|BINLOG_UNSAFE|DEBUG_SYNC|QUERY_CACHE|XAER_"
    "|COMPONENT|PRIVILEGE_CHECKS|MYSQL_\\d|OBSOLETE|UNUSED|DEPRECATED|STOP_|LANGUAGE|MLE|FOREIGN_DATA|HELP_DB|MYISAM|VERS_|SRS|PAGE_TRACKING"
)
"""What is in the names of errors about statements that are not ours, or that no server gives any more."""
SAID_TO_NOBODY_HERE = {
    1095: "of KILL",
    1145: "of GRANT",
    1177: "of CHECK TABLE",
    1556: "of LOCK TABLES",
    1979: "of KILL",
    1207: "of an isolation level that is not set here",
    1257: "of UNCOMPRESS",
    1621: "of SET of a variable that this service does not set",
    6008: "of SET PERSIST",
    4156: "of SET GLOBAL",
    3068: "of a session tracker that is not asked for",
    4075: "the same",
    3133: "of the locking service's functions",
    3171: "a warning",
    3186: "of a parser's limit that no statement of ours comes near",
    3202: "of functions of a keyring",
    3630: "of SET PERSIST",
    3836: "of GRANT AS",
    3885: "a warning",
    4121: "a warning",
    6557: "of SET of an audit filter",
}


def known_to_the_driver() -> dict[int, str]:
    """Return the server's errors that PyMySQL names."""
    return {number: name for name, number in vars(ER).items() if isinstance(number, int)}


def known_to(server: MariaDb) -> dict[int, str]:
    """Return all errors by which a server may answer a statement, by their numbers."""
    if server.is_mysql:
        query = "SELECT error_number, error_name FROM performance_schema.events_errors_summary_global_by_error"
        rows = [(int(str(number)), str(name)) for number, name in server.execute(query) if number]
        return {number: name for number, name in rows if number < OF_THE_LOG}
    perror = shutil.which("perror")
    if perror is None:
        pytest.skip("no perror on this machine, which lists MariaDB's errors")
    numbers = [str(number) for number in range(1000, OF_THE_LOG)]
    listed = subprocess.run([perror, *numbers], capture_output=True, text=True, check=False).stdout
    return {
        int(number): name for number, name in re.findall(r"^MariaDB error code (\d+) \((\w+)\)", listed, re.MULTILINE)
    }


def overlooked(errors: dict[int, str]) -> dict[int, str]:
    """Return the errors that tell of a state by their names, and that would be taken for a defect of ours."""
    return {
        number: name
        for number, name in errors.items()
        if OF_A_STATE.search(name) and not OF_OTHERS.search(name)
        if number not in OF_MYSQL and number not in SAID_TO_NOBODY_HERE
    }


def test_no_state_that_the_driver_knows_of_is_taken_for_a_defect() -> None:
    errors = known_to_the_driver()
    assert len(errors) > 400
    assert overlooked(errors) == {}


def test_no_state_that_the_server_knows_of_is_taken_for_a_defect(mariadb: MariaDb) -> None:
    errors = known_to(mariadb)
    assert len(errors) > 1000
    assert overlooked(errors) == {}


def test_the_servers_list_was_gone_through_to_its_end(mariadb: MariaDb) -> None:
    last = GONE_THROUGH["MySQL" if mariadb.is_mysql else "MariaDB"]
    later = {number: name for number, name in known_to(mariadb).items() if number > last}
    assert later == {}, "go through these, put those that are states into authservice/storage/error_numbers.py"


def test_what_the_driver_itself_finds_is_of_the_connection() -> None:
    source = inspect.getsource(pymysql.connections)
    raised = {name: getattr(CR, name) for name in set(re.findall(r"CR\.(CR_\w+)", source))}
    assert len(raised) >= 6
    # Of calls by two threads at a time on one connection.
    assert [name for name, number in raised.items() if number not in OF_MYSQL] == ["CR_COMMANDS_OUT_OF_SYNC"]
    for kind in (pymysql.err.OperationalError, pymysql.err.InternalError):
        assert judge(kind("Packet sequence number wrong - got 1 expected 2")) is Fault.LOST
    assert judge(pymysql.err.ProgrammingError("Cursor closed")) is Fault.UNFORESEEN


@pytest.mark.parametrize(
    ("number", "said", "fault"),
    [
        (1213, "Deadlock found when trying to get lock", Fault.CONFLICT),
        (3101, "Plugin instructed the server to rollback the current transaction.", Fault.CONFLICT),
        (1180, "Got error 149 - 'Lock deadlock; Retry transaction' during COMMIT", Fault.CONFLICT),
        (1180, 'Got error 149 "Lock deadlock; Retry transaction" during COMMIT', Fault.CONFLICT),
        (1180, "Got error 28 - 'No space left on device' during COMMIT", Fault.AWAY),
        (1030, "Got error 146 - 'Lock timed out; Retry transaction' from storage engine", Fault.CONFLICT),
        (1030, "Got error 168 - 'Unknown (generic) error from engine' from storage engine", Fault.AWAY),
        (2013, "Lost connection to MySQL server during query", Fault.LOST),
        (4031, "The client was disconnected by the server because of inactivity.", Fault.LOST),
        (3100, "Error on observer while running replication hook 'before_commit'.", Fault.AWAY),
        (3, "Error writing file '/tmp/MY1' (OS errno 28 - No space left on device)", Fault.AWAY),
        (1146, "Table 'authservice.users' doesn't exist", Fault.AWAY),
        (1524, "Plugin 'mysql_native_password' is not loaded", Fault.AWAY),
        (1064, "You have an error in your SQL syntax", Fault.UNFORESEEN),
        (1062, "Duplicate entry 'ada' for key 'name'", Fault.UNFORESEEN),
    ],
)
def test_an_error_is_run_again_waited_for_or_reported(number: int, said: str, fault: Fault) -> None:
    with pytest.raises(pymysql.MySQLError) as met:
        pymysql.err.raise_mysql_exception(b"\xff" + number.to_bytes(2, "little") + b"#HY000" + said.encode())
    assert judge(met.value) is fault
    assert judge(OperationalError("", None, met.value)) is fault


def test_a_host_that_is_cut_off_or_read_only_is_left_for_another() -> None:
    for number, leaves in ((1047, True), (1290, True), (3032, True), (3797, True), (1114, False), (1045, False)):
        error = DBAPIError("", None, pymysql.err.OperationalError(number, ""))
        assert is_of_this_host(error) is leaves, number


def test_an_sqlite_file_that_is_damaged_held_or_full_is_no_defect_either() -> None:
    error = sqlite3.DatabaseError("as the library says it")
    states = (
        "BUSY LOCKED PROTOCOL READONLY PERM FULL NOMEM IOERR CANTOPEN NOLFS CORRUPT NOTADB CORRUPT_INDEX IOERR_WRITE"
    )
    for name in states.split():
        error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}")
        assert judge(error) is Fault.AWAY, name
    for name in ("ERROR", "CONSTRAINT", "CONSTRAINT_UNIQUE", "MISUSE", "MISMATCH", "RANGE"):
        error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}")
        assert judge(error) is Fault.UNFORESEEN, name
