"""From what a command has raised to its exit code and what is said about it, in one table."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pymysql
import structlog
from sqlalchemy.exc import DBAPIError

from authservice.cli.databases import COULD_NOT, NO_DATABASE, WRONG_SETTINGS, trouble_with
from authservice.config import ConfigError
from authservice.domain.errors import AuthError, FieldRejected, InvalidInput, StorageUnavailable
from authservice.security.breached_file import DumpUnusable
from authservice.security.master_key import MasterKeyUnusable
from authservice.security.sealing import CannotOpen
from authservice.serving.port import CannotListen
from authservice.serving.preparation import Unsafe
from authservice.storage.engine import AddressUnusable
from authservice.storage.schema import SchemaNotCurrent
from authservice.transport.certificates import TlsFilesUnusable
from authservice.usecases.admin.operate_sessions import NoSuchSession
from authservice.usecases.admin.operate_users import NoSuchUser
from authservice.usecases.trust.rotate_keys import NoSuchKey, TooEarly

Failure: TypeAlias = tuple[int, str]
"""An exit code, and a text for people."""


def failure_of(error: Exception) -> Failure | None:
    """Return what becomes of an exception, by its own class or the nearest of its bases. None for a fault of ours."""
    row = next((FORESEEN[kind] for kind in type(error).__mro__ if kind in FORESEEN), None)
    return row(error) if row else None


def _database(error: Exception) -> Failure:
    structlog.get_logger().debug("database", error=type(error).__name__)
    trouble = trouble_with(error)
    more = "`authservice doctor` says more." if trouble.exit_code == NO_DATABASE else ""
    return trouble.exit_code, " ".join(filter(None, (trouble.what, trouble.remedy, more)))


def _settings(error: Exception) -> Failure:
    return WRONG_SETTINGS, str(error)


def _system(error: OSError) -> Failure:
    if not error.filename:
        return COULD_NOT, f"{error.strerror or error}."
    remedy = "Run as the owner, or set AUTHSERVICE_DATA_DIR to a folder for this service."
    return WRONG_SETTINGS, f"{Path(os.fsdecode(error.filename)).absolute()}: {error.strerror}. {remedy}"


def _request(error: Exception) -> Failure:
    return COULD_NOT, str(error)


FORESEEN: dict[type[Exception], Callable[[Any], Failure]] = {
    AddressUnusable: _settings,
    ConfigError: _settings,
    CannotOpen: _settings,
    MasterKeyUnusable: _settings,
    SchemaNotCurrent: _settings,
    Unsafe: _settings,
    TlsFilesUnusable: _settings,
    OSError: _system,
    **dict.fromkeys((DBAPIError, pymysql.MySQLError, sqlite3.Error, StorageUnavailable), _database),
    InvalidInput: lambda error: (
        COULD_NOT,
        "\n".join(f"{violation.field}: {violation.description}" for violation in error.violations),
    ),
    AuthError: _request,
    FieldRejected: _request,
    TooEarly: _request,
    CannotListen: _request,
    DumpUnusable: _request,
    NoSuchUser: lambda error: (COULD_NOT, f"There is no user {error}. `authservice users list` shows the names."),
    NoSuchSession: lambda error: (COULD_NOT, f"There is no session {error}. `authservice sessions list` shows them."),
    NoSuchKey: lambda error: (COULD_NOT, f"There is no key {error}. `authservice keys list` shows them."),
}
