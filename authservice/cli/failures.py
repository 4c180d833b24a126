"""From what a command has raised to its exit code and what is said about it, in one table."""

import sqlite3
from collections.abc import Callable
from typing import Any, TypeAlias

import pymysql
import structlog
from sqlalchemy.exc import DBAPIError

from authservice.config import ConfigError
from authservice.domain.errors import AuthError, FieldRejected, InvalidInput, StorageUnavailable
from authservice.security.master_key import MasterKeyUnusable
from authservice.security.sealing import CannotOpen
from authservice.serving.port import PortTaken
from authservice.serving.preparation import Unsafe
from authservice.storage.schema import SchemaNotCurrent
from authservice.transport.server import TlsFilesUnusable
from authservice.usecases.admin.operate_users import NoSuchUser
from authservice.usecases.trust.rotate_keys import NoSuchKey, TooEarly

COULD_NOT, WRONG_SETTINGS, NO_DATABASE = 1, 3, 4

Failure: TypeAlias = tuple[int, str]
"""An exit code, and a text for people."""

_NO_LOGIN = (
    "The database refuses the user or the password. Correct DB_USER and DB_PASSWORD, or AUTHSERVICE_DATABASE_URL."
)
_LOCKED = "The database account is locked. Have it unlocked, or set another DB_USER."
_EXPIRED = "The password of the database account has expired. Set a new one there and in DB_PASSWORD."
# By MySQL's error number. The database answered; its own words would not say which setting to correct.
_REFUSALS = {
    1044: "The database server does not let this user into the database. Grant the rights that the README lists, or "
    "correct DB_USER and DB_NAME, or AUTHSERVICE_DATABASE_URL.",
    1045: _NO_LOGIN,
    1049: "The database server has no database of this name. Create it as the README says, or correct DB_NAME, or "
    "AUTHSERVICE_DATABASE_URL.",
    1698: _NO_LOGIN,
    1820: _EXPIRED,
    1862: _EXPIRED,
    3118: _LOCKED,
    4151: _LOCKED,
}


def failure_of(error: Exception) -> Failure | None:
    """Return what becomes of an exception, by its own class or the nearest of its bases. None for a fault of ours."""
    row = next((_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE), None)
    return row(error) if row else None


def _database(error: Exception) -> Failure:
    structlog.get_logger().debug("database", error=type(error).__name__)
    cause = error.orig if isinstance(error, DBAPIError) else error
    if refusal := _REFUSALS.get(cause.args[0]) if cause and cause.args else None:
        return WRONG_SETTINGS, refusal
    return NO_DATABASE, "The database does not answer. `authservice doctor` says more."


def _settings(error: Exception) -> Failure:
    return WRONG_SETTINGS, str(error)


def _request(error: Exception) -> Failure:
    return COULD_NOT, str(error)


_TABLE: dict[type[Exception], Callable[[Any], Failure]] = {
    ConfigError: _settings,
    CannotOpen: _settings,
    MasterKeyUnusable: _settings,
    SchemaNotCurrent: _settings,
    Unsafe: _settings,
    TlsFilesUnusable: _settings,
    PermissionError: lambda error: (
        WRONG_SETTINGS,
        f"{error.filename}: {error.strerror}. Run as the owner, or set AUTHSERVICE_DATA_DIR.",
    ),
    **dict.fromkeys((DBAPIError, pymysql.MySQLError, sqlite3.Error, StorageUnavailable), _database),
    InvalidInput: lambda error: (
        COULD_NOT,
        "\n".join(f"{violation.field}: {violation.description}" for violation in error.violations),
    ),
    AuthError: _request,
    FieldRejected: _request,
    TooEarly: _request,
    PortTaken: _request,
    NoSuchUser: lambda error: (COULD_NOT, f"There is no user {error}. `authservice users list` shows the names."),
    NoSuchKey: lambda error: (COULD_NOT, f"There is no key {error}. `authservice keys list` shows them."),
}
