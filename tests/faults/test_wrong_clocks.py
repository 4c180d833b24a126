"""Servers whose clock is wrong: nothing that lives is deleted, and nobody who has logged out comes in again."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from sqlalchemy import Engine, func, select

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.clocks import ClockWrong
from authservice.domain.deadline import Deadline
from authservice.domain.errors import StorageUnavailable
from authservice.domain.tokens import Identity
from authservice.serving.chores import upkeep
from authservice.serving.steadiness import Steadiness
from authservice.storage.clock import DatabaseClock
from authservice.storage.tables.auth import login_attempts, sessions
from authservice.storage.tables.trust import revocations, signing_keys
from authservice.usecases.auth.logout import LogoutRequest
from tests.conftest import CHEAPEST, MASTER_KEY, RecordedAudit, SettableClock, serve_in_process
from tests.faults.processes import NOT_SERVING, SERVING, ServerProcess, wait_until
from tests.faults.seeding import Seeder
from tests.faults.two_servers import is_refused
from tests.faults.wrong_clock import LIBRARY, WrongClock
from tests.observed import PASSWORD, ObservedChannel, login, logout, refresh, refusal, register, verify
from tests.rpc.trust.watching import Watch

JUMPS = [timedelta(hours=hours) for hours in (1, -1, 49, -49)]
TABLES = (sessions, revocations, login_attempts, signing_keys)
SECONDS = 30.0
Stub = rpc.AuthServiceStub

needs_faketime = pytest.mark.skipif(LIBRARY is None, reason="no faketime on this machine to set a server's clock")
on_mariadb = pytest.mark.parametrize("backend", ["mariadb"])
on_sqlite = pytest.mark.parametrize("backend", ["sqlite"])


def row_counts(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES]


def events(server: ServerProcess) -> list[str]:
    return [json.loads(line)["event"] for line in server.stderr().splitlines()]


def await_told(server: ServerProcess, event: str, times: int) -> None:
    """Return when a server has written a line so often."""
    wait_until(lambda: events(server).count(event) == times, SECONDS, f"{times} lines {event}")


def logout_by_refresh_token(stub: Stub, refresh_token: str) -> int:
    return stub.Logout(api.LogoutRequest(refresh_token=refresh_token)).ended_sessions


def revoked(port: int) -> set[str]:
    """Return the sessions that a watcher who comes now is told of."""
    watch = Watch(port)
    watch.hear_view()
    watch.close()
    return {rule.session_id for rule in watch.rules.values()}


@pytest.fixture
def two_servers(database_url: str, seeds: Seeder, tmp_path: Path) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Yield a server whose clock is right, and one whose clock can be set."""
    wrapper = WrongClock(tmp_path).wrapper
    right, wrong = ServerProcess(database_url, tmp_path / "a"), ServerProcess(database_url, tmp_path / "b", wrapper)
    with ExitStack() as stack:
        stack.callback(right.kill_all)
        stack.callback(wrong.kill_all)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(ServerProcess.start, (right, wrong)))
        yield right, wrong


@needs_faketime
@on_mariadb
def test_w1_a_server_whose_clock_jumps_stops_until_it_is_back_and_harms_nobody(
    two_servers: tuple[ServerProcess, ServerProcess], seeds: Seeder, tmp_path: Path
) -> None:
    for times, jump in enumerate(JUMPS, 1):
        stay_unharmed(*two_servers, seeds, tmp_path, jump, times)
    causes = [json.loads(line)["cause"] for line in two_servers[1].stderr().splitlines() if "clock_wrong" in line]
    # Which of two chores notices first is chance.
    ways = ("is {} s ahead of", "was set {} s forward"), ("is {} s behind", "was set {} s back")
    for jump, cause in zip(JUMPS, causes, strict=True):
        seconds = jump.total_seconds()
        assert any(way.format(round(abs(seconds))) in cause for way in ways[seconds < 0]), causes


def stay_unharmed(
    right: ServerProcess, wrong: ServerProcess, seeds: Seeder, folder: Path, jump: timedelta, times: int
) -> None:
    """Let the clock of one server jump for the n-th time and come back."""
    clock, engine = WrongClock(folder), seeds.service.parts.engine
    live, before, meanwhile = seeds.sessions(seeds.user(f"ada-{times}"), 3)
    with right.stub() as a, wrong.stub() as b:
        assert logout(b, before.access_token) == 1
        rows = row_counts(engine)
        clock.set(jump)
        for call, token in ((verify, live.access_token), (refresh, live.refresh_token)):
            refused = refusal(call, b, token)
            assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
            assert "cannot tell the time" in refused.message
        assert refusal(logout_by_refresh_token, b, live.refresh_token).reason == "STORAGE_UNAVAILABLE"
        wait_until(lambda: wrong.health() == NOT_SERVING, SECONDS, "NOT_SERVING at a wrong time")
        await_told(wrong, "clock_wrong", times)
        assert right.health() == SERVING
        assert verify(a, live.access_token).session_id == str(live.session_id)
        assert row_counts(engine) == rows, "nothing has gone"
        assert logout(a, meanwhile.access_token) == 1
        clock.set(timedelta(0))
        wrong.wait_serving()
        await_told(wrong, "clock_right", times)
        assert seeds.generation(live.session_id) == 0, "what was refused was not done"
        for stub in (a, b):
            assert verify(stub, live.access_token).session_id == str(live.session_id)
            assert is_refused(stub, before.access_token)
            assert is_refused(stub, meanwhile.access_token)
    for server in (right, wrong):
        assert {str(before.session_id), str(meanwhile.session_id)} <= revoked(server.port)


@needs_faketime
@on_mariadb
def test_w2_servers_half_a_minute_apart_accept_each_others_fresh_tokens(
    two_servers: tuple[ServerProcess, ServerProcess], tmp_path: Path
) -> None:
    clock = WrongClock(tmp_path)
    with two_servers[0].stub() as a, two_servers[1].stub() as b:
        register(a, "ada")
        for seconds in (-30, 0, 30):
            clock.set(timedelta(seconds=seconds))
            for here, there in ((a, b), (b, a)):
                tokens = login(here, "ada")
                assert verify(there, tokens.access_token)
                assert verify(here, refresh(there, tokens.refresh_token).access_token)
                age = datetime.now(UTC) - verify(there, tokens.access_token).auth_time.ToDatetime(UTC)
                assert abs(age) < timedelta(seconds=15), "the time of the database, at both"


@needs_faketime
@on_mariadb
@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(hours=49)])
def test_w1_no_server_starts_at_a_wrong_time(database_url: str, tmp_path: Path, jump: timedelta) -> None:
    clock = WrongClock(tmp_path)
    clock.set(jump)
    server = ServerProcess(database_url, tmp_path / "server", clock.wrapper)
    server.launch()
    try:
        assert server.exit_code() == 1
    finally:
        server.kill_all()
    assert "the database's; run a time service such as chrony on both" in server.stderr()


@needs_faketime
@on_mariadb
def test_commands_say_that_the_clock_is_wrong(database_url: str, tmp_path: Path) -> None:
    clock = WrongClock(tmp_path)
    clock.set(timedelta(hours=49))
    settings = {"AUTHSERVICE_DATABASE_URL": database_url, "AUTHSERVICE_MASTER_KEY": MASTER_KEY, "AUTHSERVICE_PORT": "0"}

    def run(*verb: str) -> "subprocess.CompletedProcess[str]":
        command = [*clock.wrapper, sys.executable, "-m", "authservice", *verb]
        variables = {"PATH": os.environ["PATH"], **settings}
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    says = "The clock of this machine is 176400 s ahead of the database's; run a time service such as chrony on both.\n"
    listed = run("keys", "list")
    assert (listed.returncode, listed.stdout, listed.stderr) == (1, "", says)
    failed = [row for row in json.loads(run("doctor", "--json").stdout) if row["outcome"] == "failed"]
    assert [row["check"] for row in failed] == ["clock"], "and nothing else that only follows from it"


@needs_faketime
@on_sqlite
def test_w1_who_logs_out_while_the_clock_is_wrong_stays_out_when_it_is_back(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    server = ServerProcess(database_url, tmp_path / "server", WrongClock(tmp_path).wrapper)
    try:
        server.start()
        for times, jump in enumerate((timedelta(minutes=20), timedelta(hours=49), timedelta(hours=-1)), 1):
            stay_out(server, seeds, tmp_path, jump, times)
    finally:
        server.kill_all()


def stay_out(server: ServerProcess, seeds: Seeder, folder: Path, jump: timedelta, times: int) -> None:
    """Log out in three ways while the clock of the only server is wrong for the n-th time, and let it come back."""
    clock, engine, user = WrongClock(folder), seeds.service.parts.engine, seeds.user(f"ada-{times}")
    live, by_refresh_token, by_id = seeds.sessions(user, 3)
    (everywhere,) = seeds.sessions(seeds.user(f"grace-{times}"), 1)
    gone = (by_refresh_token, by_id, everywhere)
    with server.stub() as stub:
        clock.set(jump)
        own = login(stub, user.name.typed)
        rows = row_counts(engine)
        logout_by_refresh_token(stub, by_refresh_token.refresh_token)
        logout(stub, own.access_token, session_id=str(by_id.session_id))
        stub.Logout(api.LogoutRequest(refresh_token=everywhere.refresh_token, scope=api.LOGOUT_SCOPE_ALL))
        await_told(server, "clock_wrong", times)
        assert all(after >= before for before, after in zip(rows, row_counts(engine), strict=True)), "nothing has gone"
        clock.set(timedelta(0))
        await_told(server, "clock_right", times)
        assert verify(stub, live.access_token).session_id == str(live.session_id)
        assert all(is_refused(stub, tokens.access_token) for tokens in gone)
    wait_until(lambda: {str(tokens.session_id) for tokens in gone} <= revoked(server.port), SECONDS, "their rules")


@on_mariadb
@pytest.mark.parametrize("jump", JUMPS)
def test_every_call_is_refused_and_nothing_is_deleted_where_two_clocks_contradict_each_other(
    settings: Settings, jump: timedelta
) -> None:
    wall_jump = 0.0
    clock = DatabaseClock(lambda: time.time() + wall_jump)
    clock.told(datetime.now(UTC), clock.uptime())
    service = bootstrap.assemble(settings, clock=clock, audit=RecordedAudit(), hash_cost=CHEAPEST)
    seeds = Seeder(service)
    live, gone = seeds.sessions(seeds.user("ada"), 2)
    server, port = serve_in_process(service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = Stub(ObservedChannel.around(channel))
        assert logout(stub, gone.access_token) == 1
        rows = row_counts(service.parts.engine)
        wall_jump = jump.total_seconds()
        calls = (
            lambda: register(stub, "grace", PASSWORD[::-1]),
            lambda: login(stub, "ada"),
            lambda: refresh(stub, live.refresh_token),
            lambda: verify(stub, live.access_token),
            lambda: logout(stub, live.access_token),
            lambda: logout_by_refresh_token(stub, live.refresh_token),
        )
        assert {refusal(call).reason for call in calls} == {"STORAGE_UNAVAILABLE"}
        for chore in upkeep(service, Steadiness(0.0, lambda: 0.0), managed_keys=True):
            if chore.name in ("clean-up", "rotate keys"):
                with pytest.raises(StorageUnavailable):
                    chore.do()
        with pytest.raises(StorageUnavailable):
            service.parts.ping()
        assert row_counts(service.parts.engine) == rows
        wall_jump = 0.0
        service.parts.ping()
        assert verify(stub, live.access_token).session_id == str(live.session_id)
        assert is_refused(stub, gone.access_token)
    server.stop(0)
    service.close()


def test_a_clock_that_was_set_ahead_deletes_nothing_until_it_is_believed(
    service: bootstrap.Service, clock: SettableClock
) -> None:
    seeds = Seeder(service)
    _, ended = seeds.sessions(seeds.user("ada"), 2)
    service.auth.logout(LogoutRequest(ended.access_token), Deadline.after(SECONDS))
    rows, jump = row_counts(service.parts.engine), timedelta(hours=49)
    clock.now += jump
    set_since = upkeep(service, Steadiness(0.0, jump.total_seconds), managed_keys=True)
    for chore in set_since:
        if chore.name in ("clock", "clean-up", "rotate keys"):
            with pytest.raises(ClockWrong):
                chore.do()
    assert row_counts(service.parts.engine) == rows
    started_since = {chore.name: chore for chore in upkeep(service, Steadiness(0.0, lambda: 0.0), managed_keys=True)}
    assert started_since["clean-up"].next_at > time.monotonic() + 500.0, "there is time to set a clock after the start"
    started_since["clean-up"].do()
    assert row_counts(service.parts.engine)[:2] == [0, 0], "two days have passed"


@on_mariadb
def test_to_know_the_time_costs_verify_no_round_trip(seeds: Seeder) -> None:
    verify, live_sessions = seeds.service.auth.verify, seeds.service.parts.live_sessions
    assert isinstance(seeds.service.parts.clock, DatabaseClock)
    tokens = [session.access_token for session in seeds.sessions(seeds.user("ada"), 20)]
    verify.each(tokens[:1])  # Which connects.

    def questions() -> int:
        return int(live_sessions._reader.read("SHOW SESSION STATUS LIKE 'Questions'", 0, ())[0][1])

    before = questions()
    for token in tokens:
        assert isinstance(verify.each([token])[0], Identity)
    assert questions() - before == len(tokens) + 1, "one for each, and this one"
