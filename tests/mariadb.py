"""A MariaDB or MySQL server of the tests' own:

a free loopback port, a throwaway data folder in memory, the settings that keep promises.
"""

import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import URL

from tests.memory import folder_in_memory

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
START_SECONDS = 60
_NO_SUCH_CONNECTION = 1094
_OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--innodb-flush-log-at-trx-commit=1",
    "--max-connections=400",
    # Not UTC, so that a time that leans on the server's zone shows.
    "--default-time-zone=+03:00",
)


def find_server() -> str | None:
    """Return the server binary, or None if this machine has none. AUTHSERVICE_TEST_MYSQLD names another one."""
    chosen = os.environ.get("AUTHSERVICE_TEST_MYSQLD")
    return chosen or shutil.which("mariadbd", path=_PATH) or shutil.which("mysqld", path=_PATH)


@functools.cache
def _version(server: str) -> str:
    return subprocess.run([server, "--version"], check=True, capture_output=True, text=True).stdout


def connect(url: URL, **options: Any) -> "pymysql.Connection[Any]":
    """Return a connection of a test's own to a database, with more options of the driver."""
    return pymysql.connect(
        host=url.host or "",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        database=url.database,
        **{"ssl_disabled": True, **options},
    )


class Copies:
    """Copies of a migrated database, for a third of what migrating takes."""

    def __init__(self, template: URL) -> None:
        self._name = template.database
        with closing(connect(template)) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW TABLES")
            self._tables = [str(name) for (name,) in cursor.fetchall()]
            self._statements = [_created(cursor, table) for table in self._tables]

    def copy_to(self, empty: URL) -> None:
        """Make the tables of the template, and what stands in them, in an empty database of the same server."""
        with closing(connect(empty, autocommit=True)) as connection, connection.cursor() as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            for statement in self._statements:
                cursor.execute(statement)
            for table in self._tables:
                cursor.execute(f"INSERT INTO `{table}` SELECT * FROM `{self._name}`.`{table}`")


def _created(cursor: "pymysql.cursors.Cursor", table: str) -> str:
    cursor.execute(f"SHOW CREATE TABLE `{table}`")
    row = cursor.fetchone()
    assert row
    return str(row[1])


@contextlib.contextmanager
def kills() -> Iterator[None]:
    """Around a KILL: whoever was to be killed may have left already."""
    try:
        yield
    except pymysql.err.OperationalError as error:
        if error.args[0] != _NO_SUCH_CONNECTION:
            raise


class MariaDb:
    """One server. `start` and `stop` may be called again and again; the data stays until the folder goes.

    Args:
        folder: where it writes.
        options: more of its options.
        user: as whom it runs, if not as whoever runs the tests.
    """

    def __init__(self, folder: Path, options: Sequence[str] = (), user: str | None = None) -> None:
        server = find_server()
        assert server
        self._server = server
        self._options = [*_OPTIONS, *options]
        self._user = user
        self._folder = folder
        self._data = folder / "data"
        self._socket = folder / "socket"
        # Of its own: one that starts removes whatever temporary tables it finds there, also those of another in use.
        self._environment = {**os.environ, "TMPDIR": str(folder)}
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_mysql(self) -> bool:
        """Whether it is Oracle's server."""
        return "MariaDB" not in _version(self._server)

    @property
    def pid(self) -> int:
        """The process of the running server."""
        assert self._process, "the server does not run"
        return self._process.pid

    def url(self, database: str) -> str:
        """Return the address of one of its databases."""
        return f"mysql://authservice:db-password-canary@127.0.0.1:{self.port}/{database}"

    def install(self) -> None:
        """Make the data folder, start, and create the user."""
        self.make_data()
        self.start()
        self.execute("CREATE USER authservice@'127.0.0.1' IDENTIFIED BY 'db-password-canary'")
        self.execute("GRANT ALL ON *.* TO authservice@'127.0.0.1'")

    def make_data(self) -> None:
        """Make the data folder."""
        command = [*self._installer(), f"--datadir={self._data}", *self._as_user()]
        subprocess.run(command, check=True, capture_output=True, env=self._environment)

    def _installer(self) -> list[str]:
        if self.is_mysql:
            return [self._server, "--no-defaults", "--initialize-insecure"]
        install = shutil.which("mariadb-install-db", path=_PATH)
        assert install, "a MariaDB server without mariadb-install-db"
        return [install, "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]

    def start(self, *options_once: str) -> None:
        """Start, and return when it answers."""
        options = [f"--datadir={self._data}", f"--socket={self._socket}", f"--port={self.port}", *self._options]
        options += [*self._as_user(), *options_once]
        if self.is_mysql:
            options += ["--mysqlx=OFF", "--secure-file-priv=NULL"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._server, "--no-defaults", *options],
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text()[-2000:])
            time.sleep(0.05)  # Nothing to wait on but the port itself.

    def _as_user(self) -> list[str]:
        # It changes users itself. Were it done here, this process would be forked, which gRPC's threads do not bear.
        return [f"--user={self._user or 'root'}"] if os.geteuid() == 0 else []

    def _answers(self) -> bool:
        # MySQL listens on its port before it makes the socket, and either is there a moment before anybody listens.
        ways = ((socket.AF_INET, ("127.0.0.1", self.port)), (socket.AF_UNIX, str(self._socket)))
        for family, address in ways:
            with closing(socket.socket(family)) as probe:
                if probe.connect_ex(address):
                    return False
        return True

    def stop(self, signum: int = signal.SIGTERM) -> None:
        """End the server: with SIGTERM in good order, with SIGKILL as a crash."""
        if self._process:
            self._process.send_signal(signum)
            self._process.wait()
            self._process = None

    def execute(self, statement: str) -> tuple[tuple[object, ...], ...]:
        """Run one statement as the server's root, and return what it finds."""
        return self.script(statement)

    def script(self, *statements: str) -> tuple[tuple[object, ...], ...]:
        """Run statements over one connection of the server's root, and return what the last one finds."""
        with closing(
            pymysql.connect(unix_socket=str(self._socket), user="root", autocommit=True, ssl_disabled=True)
        ) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return tuple(cursor.fetchall())


@contextlib.contextmanager
def running_mariadb() -> Iterator[MariaDb]:
    """Yield a started server, and leave nothing of it behind."""
    with folder_in_memory() as folder:
        server = MariaDb(folder)
        try:
            server.install()
            yield server
        finally:
            server.stop(signal.SIGKILL)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
