"""Connections, set up so that the two kinds of database keep the same promises."""

from collections.abc import Sequence
from inspect import signature
from pathlib import Path

import pymysql
from sqlalchemy import URL, Engine
from sqlalchemy.exc import ArgumentError

from authservice.storage import hosts
from authservice.storage.embedded_file import FileId
from authservice.storage.mysql import CertificatesUnusable, open_mysql
from authservice.storage.sqlite import open_sqlite

__all__ = ["AddressUnusable", "Engine", "is_sqlite", "open_engine"]

_HOW_IT_LOOKS = (
    "AUTHSERVICE_DATABASE_URL looks like mysql://user:password@host:3306/name, with %40 for an @ in the password, or "
    "like sqlite:////path/to/file."
)


class UnknownDatabase(ValueError):
    """The address is of a kind of database that is not supported."""


class AddressUnusable(Exception):
    """The address, or what belongs to it, makes no connection. The text has nothing of it: a password is in it."""


def open_engine(url: str | URL, *, pool_size: int, ca_file: Path | None = None, file: FileId | None = None) -> Engine:
    """Return an engine for a SQLite or MySQL/MariaDB address. It connects when first used and must not cross a fork.

    An address of MySQL or MariaDB may name several hosts. See hosts.split. For `file` see sqlite.open_sqlite.

    Raises ValueError for any other kind of database, AddressUnusable.
    """
    try:
        urls = hosts.split(url) if isinstance(url, str) else (url,)
        for each in urls:
            (each.host or "").encode("idna")
        engine = _open(urls, pool_size, ca_file, file)
        # What is wrong with its options would come out when it connects, as an error of any kind.
        _, options = engine.dialect.create_connect_args(urls[0])
    except CertificatesUnusable as error:
        raise AddressUnusable(f"AUTHSERVICE_DATABASE_CA_FILE: {ca_file}: {error}.") from None
    except (ArgumentError, ValueError) as error:
        if isinstance(error, UnknownDatabase):
            raise
        raise AddressUnusable(_HOW_IT_LOOKS) from None
    if not is_sqlite(engine) and not options.keys() <= signature(pymysql.Connection.__init__).parameters.keys():
        raise AddressUnusable(f"AUTHSERVICE_DATABASE_URL has an option that the driver does not know. {_HOW_IT_LOOKS}")
    return engine


def is_sqlite(engine: Engine) -> bool:
    """Tell whether the engine is the embedded database."""
    return engine.dialect.name == "sqlite"


def _open(urls: Sequence[URL], pool_size: int, ca_file: Path | None, file: FileId | None) -> Engine:
    match urls[0].get_backend_name():
        case "sqlite":
            return open_sqlite(urls[0], pool_size, file)
        case "mysql" | "mariadb":
            return open_mysql(urls, pool_size, ca_file)
    raise UnknownDatabase(f"unknown database {urls[0].get_backend_name()!r}; sqlite and mysql are known")
