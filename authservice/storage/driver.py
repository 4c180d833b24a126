"""PyMySQL's connections, where many share what TLS needs."""

import ssl
from typing import Any, ClassVar

import pymysql


class Connection(pymysql.Connection):
    """One connection to MySQL or MariaDB.

    PyMySQL prepares for TLS with each of them, for servers that offer it, and reads the machine's certificate
    authorities, though it checks nothing against them unless it is told to. That takes 28 ms of processor time, many
    times all the rest, and a server makes dozens of connections when its database is back.
    """

    _unchecked: ClassVar[ssl.SSLContext | None] = None

    def _create_ssl_ctx(self, options: Any) -> ssl.SSLContext:
        if options:
            return super()._create_ssl_ctx(options)  # type: ignore[misc,no-any-return]  # PyMySQL offers no other way
        context = Connection._unchecked = Connection._unchecked or super()._create_ssl_ctx(options)  # type: ignore[misc]
        return context
