"""The databases to measure on: SQLite files, and a MariaDB server that lives as long as the measurement."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import OTHER_CORES, pin
from tests.mariadb import MariaDb, find_server

BACKENDS = ("sqlite", "mariadb")


@dataclass(slots=True)
class Databases:
    """Makes empty databases. Use it as a context manager; the MariaDB server starts when it is first asked for."""

    folder: Path
    backends: Sequence[str]
    _mariadb: MariaDb | None = None
    _cleanup: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Databases":
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def new(self, backend: str, name: str) -> str:
        """Return the address of an empty database."""
        if backend == "sqlite":
            return f"sqlite:///{self.folder / name}.db"
        server = self._server()
        server.execute(f"CREATE DATABASE {name}")
        return server.url(name)

    def pin(self, cores: Sequence[int]) -> None:
        """Hold the database server to some cores, if there is one."""
        if self._mariadb:
            pin(self._mariadb.pid, cores)

    def _server(self) -> MariaDb:
        if self._mariadb is None:
            folder = self.folder / "mariadb"
            folder.mkdir()
            server = MariaDb(folder)
            self._cleanup.callback(server.stop)
            server.install()
            self._mariadb = server
            self.pin(OTHER_CORES)
        return self._mariadb


def backends_here() -> list[str]:
    """Return the kinds of database that this machine can run."""
    return [backend for backend in BACKENDS if backend == "sqlite" or find_server()]
