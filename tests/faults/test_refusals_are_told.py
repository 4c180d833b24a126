"""A database that answers and takes nothing: the log, health and `doctor` say so, as the callers hear of it."""

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc
from click.testing import CliRunner
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import event, make_url
from sqlalchemy.pool import Pool
from structlog.testing import capture_logs
from structlog.typing import EventDict

from authservice import bootstrap
from authservice.cli.doctor import doctor
from authservice.config import Settings
from authservice.domain.errors import StorageUnavailable
from authservice.serving.chores import CALLS, CALM_SECONDS, health_check
from authservice.serving.outages import TOLD_EVERY, Outages
from tests.conftest import CHEAPEST, MASTER_KEY, serve_in_process
from tests.faults.processes import NOT_SERVING, SERVING
from tests.mariadb import connect
from tests.observed import ObservedChannel, login, refresh, refusal, register, verify

MOUNT_BYTES = 4 * 1024 * 1024
TABLES = ("login_attempts", "users", "sessions")

Fault = Callable[[], contextlib.AbstractContextManager[None]]


class Hands:
    """A clock to be moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a small disk of the test's own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MOUNT_BYTES}", "none", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leave no room on a disk inside the block."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    yield
    filler.unlink()


@contextlib.contextmanager
def reading_only() -> Iterator[None]:
    """Have every connection to SQLite be one for reading only, inside the block."""

    def on_checkout(driver: Any, *_: object) -> None:
        driver.execute("PRAGMA query_only = ON")

    def on_checkin(driver: Any, *_: object) -> None:
        if driver:  # Or it has been thrown away.
            driver.execute("PRAGMA query_only = OFF")

    event.listen(Pool, "checkout", on_checkout)
    event.listen(Pool, "checkin", on_checkin)
    try:
        yield
    finally:
        event.remove(Pool, "checkout", on_checkout)
        event.remove(Pool, "checkin", on_checkin)


@contextlib.contextmanager
def answering(url: str, number: int, text: str) -> Iterator[None]:
    """Have MariaDB answer whatever is written with an error of its own, inside the block."""
    names = [(f"{table}_{verb}", table, verb) for table in TABLES for verb in ("INSERT", "UPDATE")]
    with closing(connect(make_url(url), autocommit=True)) as connection, connection.cursor() as cursor:
        for name, table, verb in names:
            cursor.execute(
                f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW "
                f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = '{text}'"
            )
        yield
        for name, _, _ in names:
            cursor.execute(f"DROP TRIGGER {name}")


@pytest.fixture(params=["SQLite, full", "SQLite, read-only", "MariaDB, full", "MariaDB, read-only"])
def fault(request: pytest.FixtureRequest, migrated_sqlite: Path, tmp_path: Path) -> tuple[str, Fault, str]:
    """Return the address of a database, what makes it refuse, and by which words it says so."""
    if "SQLite" in request.param:
        folder: Path = request.getfixturevalue("disk") if "full" in request.param else tmp_path
        shutil.copy(migrated_sqlite, folder / "authservice.db")
        url = f"sqlite:///{folder}/authservice.db"
        if "full" in request.param:
            # Or, of a connection that is made just then, the other.
            return url, lambda: full(folder), "database or disk is full|unable to open database file"
        return url, reading_only, "attempt to write a readonly database"
    url = request.getfixturevalue("new_mariadb_url")()
    request.getfixturevalue("migrated_mariadb").copy_to(make_url(url))
    number, text = (1114, "The table is full") if "full" in request.param else (1290, "It is read-only")
    return url, lambda: answering(url, number, text), f"{number}: {text}"


def test_k3_what_a_database_refuses_is_told_with_the_cause_once_and_once_when_it_is_over(
    fault: tuple[str, Fault, str], tmp_path: Path
) -> None:
    url, breaks, words = fault
    settings = Settings(database_url=url, data_dir=tmp_path, master_key=MASTER_KEY)  # type: ignore[call-arg,arg-type]
    hands = Hands()
    outages = Outages(hands)
    with closing(bootstrap.assemble(settings, hash_cost=CHEAPEST)) as service, capture_logs() as lines:
        served, port = serve_in_process(service, on_unavailable=lambda error: outages.met(CALLS, error))
        check = health_check(service, served.server, outages).do
        with grpc.insecure_channel(f"127.0.0.1:{port}") as plain:
            stub = rpc.AuthServiceStub(ObservedChannel.around(plain))
            register(stub, "ada")
            tokens = login(stub, "ada")
            with breaks():
                for call in (lambda: login(stub, "ada"), lambda: refresh(stub, tokens.refresh_token)):
                    assert refusal(call).reason == "STORAGE_UNAVAILABLE"
                verify(stub, tokens.access_token)
                assert len(told(lines)) == 1
                assert re.fullmatch(words, told(lines)[0]["cause"])
                with pytest.raises(StorageUnavailable):
                    check()
                assert health(plain) == NOT_SERVING
                outcome, finding = doctors_word(settings)
                assert outcome == "failed"
                assert re.search(words, finding)
                hands.now += TOLD_EVERY
                assert refusal(login, stub, "ada").reason == "STORAGE_UNAVAILABLE"
                assert len(told(lines)) == 2, "once a minute"
            check()
            assert health(plain) == SERVING
            assert len(told(lines)) == 2, "some calls may still be refused"
            refresh(stub, tokens.refresh_token)
            hands.now += CALM_SECONDS
            check()
            assert told(lines)[-1]["event"] == "database_back"
            assert doctors_word(settings)[0] == "ok"
        served.stop(0)


def told(lines: list[EventDict]) -> list[EventDict]:
    """Return those about the database."""
    return [line for line in lines if line["event"].startswith("database")]


def health(channel: grpc.Channel) -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    return int(stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status)  # type: ignore[attr-defined]


def doctors_word(settings: Settings) -> tuple[str, str]:
    """Return how `doctor` judges the database, as far as it gets, and what it has found."""
    assert settings.database_url
    environment = {
        "AUTHSERVICE_DATABASE_URL": settings.database_url.get_secret_value(),
        "AUTHSERVICE_MASTER_KEY": MASTER_KEY,
    }
    result = CliRunner().invoke(doctor, ["--json"], env=environment)
    *_, last = (row for row in json.loads(result.stdout) if row["check"] in ("database", "writing"))
    return last["outcome"], last["finding"]
