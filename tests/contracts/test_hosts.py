"""A database on several hosts: each new connection is made to the first that serves, and soon."""

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pymysql
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from authservice import bootstrap
from authservice.cli.doctor import Result, examine
from authservice.config import Settings, load
from authservice.domain.deadline import Deadline
from authservice.domain.errors import StorageUnavailable
from authservice.storage import hosts
from authservice.storage.driver import Connection
from authservice.storage.engine import open_engine
from tests.conftest import CHEAPEST, MASTER_KEY, RecordedAudit, migrate, serve_in_process
from tests.faults.seeding import Seeder
from tests.gateway import Gateway
from tests.mariadb import MariaDb, connect
from tests.observed import ObservedChannel, logout, refresh, refusal, register, verify


@pytest.fixture
def url(new_own_url: Callable[[], str]) -> str:
    url = new_own_url()
    migrate(url)
    return url


@pytest.fixture
def nobody() -> Iterator[int]:
    """Yield a port that refuses."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def hanging() -> Iterator[int]:
    """Yield a port that takes connections and never says a word, as a frozen machine does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def behind(url: str, *ports: int) -> str:
    """Return the address of a database that has other hosts before its own."""
    login, at, place = url.rpartition("@")
    return login + at + "".join(f"127.0.0.1:{port}," for port in ports) + place


def answer(url: str) -> object:
    """Return what a new connection says."""
    engine = open_engine(url, pool_size=1)
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT DATABASE()")).scalar_one()
    finally:
        engine.dispose()


def test_many_connections_read_the_machines_certificate_authorities_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, make = [], ssl.create_default_context

    def counted(*arguments: Any, **named: Any) -> ssl.SSLContext:
        read.append(1)
        return make(*arguments, **named)

    monkeypatch.setattr(Connection, "_unchecked", None)
    monkeypatch.setattr(ssl, "create_default_context", counted)
    for _ in range(3):
        assert answer(url) == make_url(url).database
    assert len(read) == 1


def test_a_host_that_refuses_and_one_that_hangs_are_passed_over(url: str, nobody: int, hanging: int) -> None:
    assert answer(behind(url, nobody, hanging)) == make_url(url).database
    assert answer(behind(url, hanging, nobody)) == make_url(url).database


def test_a_host_that_is_named_later_is_not_asked_while_one_before_serves(url: str, nobody: int) -> None:
    login, _, place = url.rpartition("@")
    host, _, name = place.rpartition("/")
    assert answer(f"{login}@{host},127.0.0.1:{nobody}/{name}") == name


def test_hosts_that_all_hang_take_no_longer_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(hosts, "monotonic", lambda: now)

    def hang(*, read_timeout: float, **_: object) -> hosts.Driver:
        nonlocal now
        now += read_timeout
        raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")

    with pytest.raises(pymysql.err.OperationalError):
        hosts.Hosts(hosts.split("mysql://user@a,b:1,[::1]:2,d/name")).connect(hang)
    assert now == pytest.approx(hosts.CONNECT_SECONDS)


class Cluster:
    """Hosts that answer or are silent, and a note of who is asked. Those that answer are the database at `url`."""

    def __init__(self, url: str, *names: str) -> None:
        self._url = make_url(url)
        self._hosts = hosts.Hosts(hosts.split(f"mysql://user@{','.join(names)}/name"))
        self.answering: set[str] = set()

    def asked(self) -> list[str]:
        """Return who is asked for a new connection, in turn."""
        names: list[str] = []

        def open_one(*, host: str, **_: object) -> hosts.Driver:
            names.append(host)
            if host in self.answering:
                return connect(self._url)
            raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")

        self._hosts.connect(open_one).close()
        return names


def test_a_host_that_did_not_answer_is_asked_after_the_others_for_a_while(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(hosts, "monotonic", lambda: now)
    cluster = Cluster(url, "a", "b", "c")
    cluster.answering = {"b", "c"}
    assert [cluster.asked(), cluster.asked()] == [["a", "b"], ["b"]]
    cluster.answering = {"a", "c"}
    assert [cluster.asked(), cluster.asked()] == [["b", "c"], ["c"]]
    now += hosts.LAST_SECONDS
    assert cluster.asked() == ["a"]


def test_a_host_that_answers_again_has_its_place_back_at_once(url: str) -> None:
    cluster = Cluster(url, "a", "b")
    cluster.answering = {"b"}
    assert cluster.asked() == ["a", "b"]
    cluster.answering = {"a"}
    assert cluster.asked() == ["b", "a"]
    cluster.answering = {"a", "b"}
    assert cluster.asked() == ["a"]


def test_where_none_serves_the_one_that_answered_says_why(url: str, nobody: int) -> None:
    wrong = make_url(url).set(password="another").render_as_string(hide_password=False)
    with pytest.raises(OperationalError, match="Access denied"):
        answer(behind(wrong, nobody))


def test_a_host_that_may_not_be_written_to_is_passed_over(url: str, mariadb: MariaDb) -> None:
    twice = behind(url, mariadb.port)
    mariadb.execute("SET GLOBAL read_only = ON")
    try:
        with pytest.raises(OperationalError, match="read-only"):
            answer(twice)
    finally:
        mariadb.execute("SET GLOBAL read_only = OFF")
    assert answer(twice) == make_url(url).database


def test_where_nothing_may_be_written_nothing_that_is_read_counts(url: str, mariadb: MariaDb, tmp_path: Path) -> None:
    service = bootstrap.assemble(
        load(database_url=url, data_dir=tmp_path, master_key=MASTER_KEY), hash_cost=CHEAPEST, audit=RecordedAudit()
    )
    seeds = Seeder(service)
    token = seeds.sessions(seeds.user("ada"), 1)[0].access_token
    reads = {
        "a token of a live session": lambda: service.auth.verify(token, Deadline.after(5)),
        "the rules about revoked tokens": lambda: service.parts.revocation_log.counted_after(0, service.parts.clock()),
        "keys": service.trust.keys.reload,
        "health": service.parts.ping,
    }
    for read in reads.values():
        read()
    mariadb.execute("SET GLOBAL read_only = ON")
    try:
        for what, read in reads.items():
            with pytest.raises(StorageUnavailable):
                pytest.fail(f"{what}: {read()}")
    finally:
        mariadb.execute("SET GLOBAL read_only = OFF")
    for read in reads.values():
        read()
    service.close()


def test_when_the_host_that_it_stands_on_dies_a_server_goes_on_at_the_next(url: str, tmp_path: Path) -> None:
    first = Gateway(make_url(url).port or 3306)
    settings = Settings(  # type: ignore[call-arg]
        database_url=behind(url, first.port),  # type: ignore[arg-type]
        data_dir=tmp_path,
        master_key=MASTER_KEY,  # type: ignore[arg-type]
    )
    service = bootstrap.assemble(settings, hash_cost=CHEAPEST)
    served, port = serve_in_process(service)
    seeds = Seeder(service)
    tokens = seeds.sessions(seeds.user("ada"), 2)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as plain:
        stub = rpc.AuthServiceStub(ObservedChannel.around(plain))
        assert verify(stub, tokens[0].access_token)
        first.die()
        assert refresh(stub, tokens[0].refresh_token).session_id == str(tokens[0].session_id)
        assert logout(stub, tokens[1].access_token) == 1
        assert refusal(verify, stub, tokens[1].access_token).reason == "SESSION_ENDED"
        assert register(stub, "grace")
    served.stop(0)
    service.close()


def looked_at(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> list[Result]:
    """Return what `doctor` finds about the database's hosts."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AUTHSERVICE_DATABASE_URL", url)
    monkeypatch.setenv("AUTHSERVICE_MASTER_KEY", MASTER_KEY)
    return [result for result in examine() if result.check.startswith("database")]


def test_doctor_looks_at_each_host(url: str, nobody: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = looked_at(monkeypatch, behind(url, nobody), tmp_path)
    hosts_found = {each.finding.split(" ")[0].rstrip(":"): each for each in results if each.check == "database host"}
    dead, alive = hosts_found[f"127.0.0.1:{nobody}"], hosts_found[f"127.0.0.1:{make_url(url).port}"]
    assert (dead.outcome, alive.outcome) == ("warning", "ok")
    assert "refused" in dead.finding
    assert dead.remedy
    assert {each.outcome for each in results if each.check == "database"} == {"ok"}
    assert "canary" not in str(results)
    assert not [each for each in looked_at(monkeypatch, url, tmp_path) if each.check == "database host"]
