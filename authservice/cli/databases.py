"""What a database's error means to an operator: is it away, does it refuse what is set, or has it something to say?"""

import sqlite3
from dataclasses import dataclass

import pymysql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from authservice.domain.clocks import ClockWrong
from authservice.storage.error_numbers import State, number_of, state_of

COULD_NOT, WRONG_SETTINGS, NO_DATABASE = 1, 3, 4


@dataclass(frozen=True, slots=True)
class Trouble:
    """An exit code, what is the matter and what to do, both in sentences."""

    exit_code: int
    what: str
    remedy: str


_NO_LOGIN = (
    "The database refuses the user or the password.",
    "Correct DB_USER and DB_PASSWORD, or AUTHSERVICE_DATABASE_URL.",
)
_LOCKED = ("The database account is locked.", "Have it unlocked, or set another DB_USER.")
_EXPIRED = ("The password of the database account has expired.", "Set a new one there and in DB_PASSWORD.")
# By MySQL's error number. Its own words would not say which setting to correct.
_REFUSALS = {
    1044: (
        "The database server does not let this user into the database.",
        "Grant the rights that the README lists, or correct DB_USER and DB_NAME, or AUTHSERVICE_DATABASE_URL.",
    ),
    1045: _NO_LOGIN,
    1049: (
        "The database server has no database of this name.",
        "Create it as the README says, or correct DB_NAME, or AUTHSERVICE_DATABASE_URL.",
    ),
    1698: _NO_LOGIN,
    1820: _EXPIRED,
    1862: _EXPIRED,
    3118: _LOCKED,
    4151: _LOCKED,
}
_RIGHTS = "Grant the rights that the README lists."
_SCHEMA = "Restore what `authservice migrate` made."
_LOGIN = "Give the user there another way to log in, such as caching_sha2_password."
_REMEDIES = {
    1129: "Run FLUSH HOSTS there once it is known why this machine's connections failed.",
    1130: "Create the user for this machine's address as well.",
    **dict.fromkeys((1142, 1143, 1227, 1370, 3879, 6038), _RIGHTS),
    **dict.fromkeys((1051, 1054, 1146, 1176, 1364), _SCHEMA),
    **dict.fromkeys((1251, 1275, 1524, 2059, 2061), _LOGIN),
    2026: "Correct AUTHSERVICE_DATABASE_CA_FILE, or the server's certificate.",
    3159: "Set AUTHSERVICE_DATABASE_CA_FILE.",
}
"""What can be set right where the server's own words say what is wrong."""
_EXIT_CODES = {
    **dict.fromkeys((State.UNREACHABLE, State.CUT_OFF, State.LOST), NO_DATABASE),
    State.REFUSED: WRONG_SETTINGS,
}
_QUOTING = {1062, 1064, 1292, 1366}
"""These repeat what was sent."""

_SQLITE = {
    sqlite3.SQLITE_CANTOPEN: (
        WRONG_SETTINGS,
        "Correct AUTHSERVICE_DATA_DIR or AUTHSERVICE_DATABASE_URL; this user must be able to write its folder, "
        "and its disk must have room.",
    ),
    sqlite3.SQLITE_READONLY: (WRONG_SETTINGS, "Run as the owner of the file and of its folder."),
    sqlite3.SQLITE_NOTADB: (WRONG_SETTINGS, "Correct AUTHSERVICE_DATA_DIR or AUTHSERVICE_DATABASE_URL."),
    sqlite3.SQLITE_CORRUPT: (COULD_NOT, "Restore it from a backup."),
    sqlite3.SQLITE_FULL: (COULD_NOT, "Make room on its disk."),
    sqlite3.SQLITE_BUSY: (NO_DATABASE, "Another program holds it; end that one."),
    sqlite3.SQLITE_LOCKED: (NO_DATABASE, "Another program holds it; end that one."),
}
"""By SQLite's primary result code."""


def trouble_with(error: BaseException) -> Trouble:
    """Judge an error of SQLAlchemy, of a driver, or one that was raised from one."""
    if isinstance(error.__cause__, ClockWrong):
        return Trouble(COULD_NOT, f"{str(error.__cause__).capitalize()}.", "")
    cause = _driver_error(error)
    if isinstance(cause, sqlite3.Error):
        code, remedy = _SQLITE.get(number_of(cause) or 0, (COULD_NOT, ""))
        return Trouble(code, f"The SQLite file: {_one_line(cause)}.", remedy)
    if isinstance(cause, pymysql.MySQLError):
        return _of_mysql(cause)
    return Trouble(NO_DATABASE, "The database does not answer.", "Start it, or correct its address.")


def _of_mysql(error: pymysql.MySQLError) -> Trouble:
    number = number_of(error) or 0
    if refusal := _REFUSALS.get(number):
        return Trouble(WRONG_SETTINGS, *refusal)
    state, said = state_of(error), _said(error)
    exit_code = _EXIT_CODES.get(state, COULD_NOT) if state else COULD_NOT
    if exit_code == NO_DATABASE:
        return Trouble(exit_code, f"The database does not answer ({said}).", "Start it, or correct its address.")
    return Trouble(exit_code, f"The database says {said}.", _REMEDIES.get(number, ""))


def _said(error: pymysql.MySQLError) -> str:
    """Return the number and the words, if these do not repeat what was sent."""
    parts = error.args[:1] if number_of(error) in _QUOTING else error.args[:2]
    return ": ".join(" ".join(str(part).split()) for part in parts if part != "")


def _driver_error(error: BaseException | None) -> BaseException | None:
    while error is not None and not isinstance(error, sqlite3.Error | pymysql.MySQLError | PoolTimeout):
        error = error.orig if isinstance(error, DBAPIError) else error.__cause__
    return error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
