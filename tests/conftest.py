"""Real parts for the tests: databases, the assembled service, a grpc server and a stub."""

import base64
import gc
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pymysql
import pytest
import structlog
from authapi.v1 import auth_service_pb2_grpc as rpc
from sqlalchemy import make_url

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.events import AuditEvent
from authservice.security import hash_pool
from authservice.serving.chores import start_feeding
from authservice.serving.housekeeping import Housekeeping
from authservice.serving.worker import new_server
from authservice.storage import schema
from authservice.storage.engine import open_engine
from authservice.transport.boundary import OnUnavailable, nobody_hears
from authservice.transport.server import Limits, Server
from tests.mariadb import Copies, MariaDb, find_server, running_mariadb
from tests.memory import folder_in_memory
from tests.observed import ObservedChannel

for name in list(os.environ):
    if name.startswith(("AUTHSERVICE_", "DB_", "JWT_SECRET")) and not name.startswith("AUTHSERVICE_TEST_"):
        del os.environ[name]  # Nothing of this machine's own configuration reaches a test.

# With the defaults, rich draws every traceback: a quarter of a second for each fault that a test makes.
structlog.configure(processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])
# Beside other tests, hashes that stand back for everybody else would be waited for. Servers that are processes have it.
hash_pool.NICENESS = 0

CHEAPEST = 4
"""bcrypt's lowest cost, below what the settings allow. Only for testing!"""
DOMAIN, ORIGIN = "example.com", "https://accounts.example.com"
"""Where users have passkeys."""
MASTER_KEY = base64.b64encode(b"master-key-canary-of-32-bytes-00").decode()
HAS_ENTRANCE = os.environ.get("AUTHSERVICE_TEST_ENTRANCE") != "off"
"""Which of the two ways of taking calls the servers of the tests use."""
BACKENDS = ("sqlite", "mariadb")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "entrance: claims what only a server with the entrance does")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where servers have no entrance, leave out what would only show that it is missing."""
    if HAS_ENTRANCE:
        return
    beside = [item for item in items if item.get_closest_marker("entrance")]
    config.hook.pytest_deselected(items=beside)
    items[:] = [item for item in items if item not in beside]


def pytest_collection_finish() -> None:
    """Keep the garbage collector from going through what was imported and collected, which stays to the end."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in the last lines how many tests this machine could not run."""
    skipped = len(terminalreporter.stats.get("skipped", []))
    if skipped:
        tests = "1 test was" if skipped == 1 else f"{skipped} tests were"
        terminalreporter.write_line(f"{tests} SKIPPED: see above for what this machine lacks.")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything has to run, a skipped test is a failed one."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("AUTHSERVICE_TEST_REQUIRE_ALL") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@dataclass
class SettableClock:
    """A clock that stands where it is put. Starts at the real time, so that other libraries agree with it."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **step: float) -> None:
        """Move forward by a timedelta's arguments."""
        self.now += timedelta(**step)


@dataclass
class RecordedAudit:
    """Keeps audit events for tests to look at."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def record(self, event: AuditEvent) -> None:
        """Keep one event, as the log has it."""
        self.events.append((event.name, event.facts()))

    def count(self, event: str) -> int:
        """Return how often an event happened."""
        return sum(1 for name, _ in self.events if name == event)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def audit() -> RecordedAudit:
    return RecordedAudit()


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Yield an empty folder, not on the disk as pytest's own. The one that it lies in is the test's own as well."""
    with folder_in_memory() as own:
        folder = own / "test"
        folder.mkdir()
        yield folder


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """Yield a running MariaDB server that belongs to this run. Tests that stop it make one of their own."""
    if find_server() is None:
        pytest.skip("no MariaDB server on this machine")
    with running_mariadb() as server:
        yield server


_numbers = itertools.count()


def _new_name() -> str:
    return f"authservice_test_{os.getpid()}_{next(_numbers)}"


@pytest.fixture(scope="session")
def new_own_url(mariadb: MariaDb) -> Callable[[], str]:
    """Return what makes an empty database on the server of this run, for tests that change the server itself."""

    def make() -> str:
        name = _new_name()
        mariadb.execute(f"CREATE DATABASE {name} CHARACTER SET latin1")
        return mariadb.url(name)

    return make


@pytest.fixture(scope="session")
def new_mariadb_url(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Return what makes an empty MariaDB database and returns its address."""
    given = os.environ.get("AUTHSERVICE_TEST_DATABASE_URL")
    if not given:
        make_own: Callable[[], str] = request.getfixturevalue("new_own_url")
        return make_own
    url = make_url(given)

    def make() -> str:
        name = _new_name()
        with pymysql.connect(
            host=url.host or "", port=url.port or 3306, user=url.username, password=url.password or ""
        ) as connection:
            connection.cursor().execute(f"CREATE DATABASE {name}")
        return url.set(database=name).render_as_string(hide_password=False)

    return make


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "authservice.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_mariadb(new_mariadb_url: Callable[[], str]) -> Copies:
    """Return a migrated MariaDB database to copy."""
    url = new_mariadb_url()
    migrate(url)
    return Copies(make_url(url))


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Return the kind of database; a test that asks for it runs on each."""
    return str(request.param)


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest,
    backend: str,
    tmp_path: Path,
    migrated_sqlite: Path,
    new_mariadb_url: Callable[[], str],
) -> str:
    """Return the address of an empty, migrated database."""
    if backend == "sqlite":
        shutil.copy(migrated_sqlite, tmp_path / "authservice.db")
        return f"sqlite:///{tmp_path / 'authservice.db'}"
    url = new_mariadb_url()
    template: Copies = request.getfixturevalue("migrated_mariadb")
    template.copy_to(make_url(url))
    return url


def migrate(url: str) -> None:
    """Bring a database to the newest migration."""
    engine = open_engine(url, pool_size=1)
    schema.migrate(engine)
    engine.dispose()


def with_auth(service: bootstrap.Service, **stories: Any) -> bootstrap.Service:
    """Return the service with other stories in place of some of `auth`."""
    return replace(service, auth=replace(service.auth, **stories))


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Return settings for the database, with nothing from this machine's environment."""
    return Settings(
        database_url=database_url,  # type: ignore[arg-type]
        data_dir=tmp_path,
        master_key=MASTER_KEY,  # type: ignore[arg-type]
        passkey_domain=DOMAIN,
        passkey_origins=ORIGIN,
    )  # type: ignore[call-arg]


@pytest.fixture
def service(settings: Settings, clock: SettableClock, audit: RecordedAudit) -> Iterator[bootstrap.Service]:
    """Yield the whole service on a real database, with cheap hashes and a clock to set."""
    assembled = bootstrap.assemble(settings, cores=2, clock=clock, audit=audit, hash_cost=CHEAPEST)
    yield assembled
    assembled.close()


@dataclass
class Served:
    """A server in this process, with the thread that feeds its watchers."""

    server: Server
    feeding: Housekeeping

    def drain(self) -> None:
        """Say NOT_SERVING from now on."""
        self.server.drain()

    def stop(self, grace: float) -> None:
        """End everything."""
        self.feeding.stop()
        self.server.stop(grace)


def serve_in_process(
    service: bootstrap.Service,
    *,
    max_calls: int = 512,
    max_watchers: int = 64,
    default_deadline: float = 10.0,
    on_unavailable: OnUnavailable = nobody_hears,
) -> tuple[Served, int]:
    """Start a grpc server for an assembled service on a free loopback port."""
    limits = Limits(16, max_calls, password_calls=32, max_watchers=max_watchers, default_deadline=default_deadline)
    server = new_server(service, limits, has_reflection=True, has_entrance=HAS_ENTRANCE, on_unavailable=on_unavailable)
    port = server.listen("127.0.0.1:0", None)
    feeding = start_feeding(service, server)
    server.start()
    server.set_healthy(True)
    return Served(server, feeding), port


@pytest.fixture
def port(service: bootstrap.Service) -> Iterator[int]:
    """Yield the port of a running server."""
    server, port = serve_in_process(service)
    yield port
    server.stop(0)


@pytest.fixture
def channel(port: int) -> Iterator[grpc.Channel]:
    """Yield a channel that fails the test on anything a caller must never see."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as plain:
        yield ObservedChannel.around(plain)


@pytest.fixture
def stub(channel: grpc.Channel) -> rpc.AuthServiceStub:
    """Return a real stub on a real socket."""
    return rpc.AuthServiceStub(channel)
