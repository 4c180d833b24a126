"""One database on several hosts, such as the nodes of a cluster: a connection is made to the first that serves."""

import re
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, TypeAlias

import pymysql
from sqlalchemy import URL, make_url

from authservice.storage.faults import Fault, judge

CONNECT_SECONDS = 3.0
"""How long all hosts together may take to take a connection and greet."""
LEAST_SECONDS = 0.5
"""What each of them gets, however many there are."""
LAST_SECONDS = 30.0
"""How long one that did not answer is asked after the others, so that not each new connection waits for it again."""

IS_READ_ONLY = "CONCAT(@@GLOBAL.read_only) NOT IN ('0', 'OFF')"
"""1 at a host that may only be read, else 0. The variable is a number or a word, by the server and its version."""

Driver: TypeAlias = "pymysql.Connection[Any]"

# What SQLAlchemy takes for user and password, the hosts, and all the rest.
_ADDRESS = re.compile(r"([\w+]+://(?:[^:/]*(?::[^@]*)?@)?)([^/?]*)(.*)", re.DOTALL)
_NOT_READY, _READ_ONLY = 1047, 1290
_SILENT = (2002, 2003, 2013)


def split(address: str) -> tuple[URL, ...]:
    """Return the address of each host of `mysql://user:password@host:port,host:port/name`.

    Raises ValueError and ArgumentError for what is no address.
    """
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        return (make_url(address),)
    return tuple(make_url(parts[1] + place.strip() + parts[3]) for place in parts[2].split(","))


class Hosts:
    """The hosts of one database, and who of them was silent lately. Lives as long as its engine; for many threads.

    Args:
        urls: the hosts, in the order in which they are asked.
    """

    def __init__(self, urls: Sequence[URL]) -> None:
        self._urls = urls
        self._last_until: dict[URL, float] = {}

    def connect(self, open_one: Callable[..., Driver]) -> Driver:
        """Return a connection to the first host that answers, is part of its cluster and may be written to.

        Args:
            open_one: connects, given `host`, `port`, and `connect_timeout` and `read_timeout` in seconds.

        Raises the error of a host that answered, if one did, otherwise that of the first.
        """
        refusals: list[pymysql.MySQLError | OSError] = []
        until = monotonic() + CONNECT_SECONDS
        for number, url in enumerate(self._in_turn()):
            # The last ones get what the first ones have left, so that one that hangs leaves time for the others.
            seconds = max(LEAST_SECONDS, (until - monotonic()) / (len(self._urls) - number))
            try:
                connection = _opened(open_one, url, seconds)
            except (pymysql.MySQLError, OSError) as error:
                if judge(error) is Fault.UNFORESEEN:
                    raise
                if error.args[0] in _SILENT:
                    self._last_until[url] = monotonic() + LAST_SECONDS
                refusals.append(error)
            else:
                self._last_until.pop(url, None)
                return connection
        raise next((error for error in refusals if error.args[0] not in _SILENT), refusals[0])

    def _in_turn(self) -> list[URL]:
        now = monotonic()
        return sorted(self._urls, key=lambda url: self._last_until.get(url, now) > now)


def _opened(open_one: Callable[..., Driver], url: URL, seconds: float) -> Driver:
    place = {"host": url.host or "localhost", "port": url.port or 3306}
    connection = open_one(**place, connect_timeout=seconds, read_timeout=seconds)
    try:
        require_serving(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def require_serving(connection: Driver) -> None:
    """Raise OperationalError unless the host is part of its cluster, if it has one, and may be written to."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'")
        if ("wsrep_on", "ON") in cursor.fetchall():
            cursor.execute("SHOW STATUS LIKE 'wsrep_ready'")
            if ("wsrep_ready", "ON") not in cursor.fetchall():
                raise pymysql.err.OperationalError(_NOT_READY, "It is not part of its cluster")
    require_writable(connection)


def require_writable(connection: Driver) -> None:
    """Raise OperationalError if the host that a connection is to has become read-only."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {IS_READ_ONLY}")
        if cursor.fetchall() != ((0,),):
            raise read_only()


def read_only() -> pymysql.err.OperationalError:
    """Return what a host that may only be read says about writing."""
    return pymysql.err.OperationalError(_READ_ONLY, "It is read-only")
