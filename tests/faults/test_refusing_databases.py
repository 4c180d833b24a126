"""A database that is there and refuses: the caller is told to come back, and is served once it lets the service in."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc
from sqlalchemy import URL, make_url

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.tokens import SessionTokens
from tests.conftest import CHEAPEST, DOMAIN, MASTER_KEY, ORIGIN, RecordedAudit, migrate, serve_in_process
from tests.contract import SERVED
from tests.faults.operations import NAMES, Operations
from tests.faults.processes import wait_until
from tests.faults.seeding import Seeder
from tests.mariadb import MariaDb, connect, kills
from tests.observed import ObservedChannel, Refusal, logout, refusal, verify
from tests.rpc.account.calling import Account

SECONDS = 10
USER = "'guest'@'127.0.0.1'"
PASSWORD = "guest-password-canary"
GRANTED = f"CREATE USER {USER} IDENTIFIED BY '{PASSWORD}'", f"GRANT ALL ON *.* TO {USER}"

REFUSALS = {
    "another password": ([f"ALTER USER {USER} IDENTIFIED BY 'another'"], [f"DROP USER {USER}", *GRANTED]),
    "locked": ([f"ALTER USER {USER} ACCOUNT LOCK"], [f"ALTER USER {USER} ACCOUNT UNLOCK"]),
    "expired": ([f"ALTER USER {USER} PASSWORD EXPIRE"], [f"DROP USER {USER}", *GRANTED]),
    "no such user": ([f"DROP USER {USER}"], GRANTED),
    "no rights": ([f"REVOKE ALL ON *.* FROM {USER}"], [f"GRANT ALL ON *.* TO {USER}"]),
    "no more connections": (
        [f"ALTER USER {USER} WITH MAX_QUERIES_PER_HOUR 1"],
        [f"ALTER USER {USER} WITH MAX_QUERIES_PER_HOUR 0"],
    ),
    "no tables": (
        [
            "RENAME TABLE {database}.users TO {database}.users_restored, {database}.sessions TO {database}.lost, "
            "{database}.outbox TO {database}.unsent"
        ],
        [
            "RENAME TABLE {database}.users_restored TO {database}.users, {database}.lost TO {database}.sessions, "
            "{database}.unsent TO {database}.outbox"
        ],
    ),
}
"""What an administrator does, and how they take it back."""
ASKING_NO_DATABASE = {"GetSigningKeys", "WatchRevocations", "EstimatePassword", "BeginPasskeyLogin"}


@dataclass
class Stage:
    """A server whose database user is its own, and calls of it."""

    server: MariaDb
    owner: URL
    stub: rpc.AuthServiceStub
    channel: grpc.Channel
    seeds: Seeder
    audit: RecordedAudit

    def calls(self) -> dict[str, Callable[[], Any]]:
        """Return one call of each kind, fresh."""
        operations = Operations(self.channel, self.seeds.service, self.audit)
        (tokens,) = self.seeds.sessions(self.seeds.user("ada"), 1)
        account = Account(self.channel, tokens.access_token)
        return {
            **{name: operations.fresh(name).call for name in NAMES},
            "ListSessions": lambda: account.call("ListSessions"),
            "ListFactors": lambda: account.call("ListFactors"),
            "BeginPasskeyRegistration": lambda: account.call("BeginPasskeyRegistration"),
            "GetAccount": lambda: account.call("GetAccount"),
            "ExportAccount": lambda: list(account.call("ExportAccount")),
            "Verify": lambda: verify(self.stub, tokens.access_token),
        }

    def disconnect(self) -> None:
        """Kill the connections of the server, so that it has to make new ones."""
        killed = self._connections()
        for identifier in killed:
            with kills():
                self.server.execute(f"KILL {identifier}")
        wait_until(lambda: not killed & self._connections(), SECONDS, "its connections to be gone")

    def blocked(self) -> int | None:
        """Return the connection whose statement waits for somebody."""
        found = self.server.execute(
            "SELECT id FROM information_schema.processlist WHERE user = 'guest' AND info LIKE '%UPDATE sessions%'"
        )
        return int(str(found[0][0])) if found else None

    def _connections(self) -> set[object]:
        query = "SELECT id FROM information_schema.processlist WHERE user = 'guest'"
        return {row[0] for row in self.server.execute(query)}


@pytest.fixture
def stage(mariadb: MariaDb, new_own_url: Callable[[], str], tmp_path: Path) -> Iterator[Stage]:
    owner = new_own_url()
    migrate(owner)
    for statement in GRANTED:
        mariadb.execute(statement)
    guest = make_url(owner).set(username="guest", password=PASSWORD).render_as_string(hide_password=False)
    audit = RecordedAudit()
    service, own = (
        bootstrap.assemble(
            Settings(  # type: ignore[call-arg]
                database_url=url,  # type: ignore[arg-type]
                data_dir=tmp_path,
                master_key=MASTER_KEY,  # type: ignore[arg-type]
                passkey_domain=DOMAIN,
                passkey_origins=ORIGIN,
            ),
            hash_cost=CHEAPEST,
            audit=audit,
        )
        for url in (guest, owner)
    )
    served, port = serve_in_process(service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as plain:
        observed = ObservedChannel.around(plain)
        yield Stage(mariadb, make_url(owner), rpc.AuthServiceStub(observed), observed, Seeder(own), audit)
    served.stop(0)
    service.close()
    own.close()
    mariadb.execute(f"DROP USER {USER}")


@pytest.mark.parametrize("name", REFUSALS)
def test_a_database_that_lets_the_service_in_no_more_is_unavailable_and_the_service_goes_on_when_it_does(
    stage: Stage, name: str
) -> None:
    take, give_back = REFUSALS[name]
    calls = stage.calls()
    assert set(calls) == {method.name for method in SERVED} - ASKING_NO_DATABASE
    for statement in take:
        stage.server.execute(statement.format(database=stage.owner.database))
    stage.disconnect()
    for method, call in calls.items():
        answer: Refusal = refusal(call)
        assert answer.code is grpc.StatusCode.UNAVAILABLE, method
        # Where a token has to be judged first, it is the guard that says so.
        assert answer.reason in {"STORAGE_UNAVAILABLE", "VERIFICATION_UNAVAILABLE"}, method
        assert "guest" not in answer.message
    for statement in give_back:
        stage.server.execute(statement.format(database=stage.owner.database))
    stage.disconnect()
    for call in calls.values():
        call()


def test_a_statement_that_an_administrator_kills_is_run_again_with_effects_once(stage: Stage) -> None:
    tokens = stage.seeds.sessions(stage.seeds.user("ada"), 1)[0]
    with _locked(stage, tokens):
        ended: list[int] = []
        caller = threading.Thread(target=lambda: ended.append(logout(stage.stub, tokens.access_token)))
        caller.start()
        wait_until(stage.blocked, SECONDS, "the logout to wait")
        stage.server.execute(f"KILL QUERY {stage.blocked()}")
        wait_until(stage.blocked, SECONDS, "the logout to wait again")
    caller.join(SECONDS)
    assert ended == [1]
    assert refusal(verify, stage.stub, tokens.access_token).reason == "SESSION_ENDED"


def test_a_statement_that_takes_longer_than_the_server_allows_is_unavailable(stage: Stage) -> None:
    if stage.server.is_mysql:
        pytest.skip("MySQL limits the time of reads only, and none of ours waits for anybody")
    tokens = stage.seeds.sessions(stage.seeds.user("ada"), 1)[0]
    stage.server.execute(f"ALTER USER {USER} WITH MAX_STATEMENT_TIME 0.2")
    stage.disconnect()
    with _locked(stage, tokens):
        answer = refusal(logout, stage.stub, tokens.access_token)
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
    assert logout(stage.stub, tokens.access_token) == 1


@contextlib.contextmanager
def _locked(stage: Stage, tokens: SessionTokens) -> Iterator[None]:
    """Hold a session's row until the block is left."""
    with closing(connect(stage.owner)) as connection:
        connection.cursor().execute("SELECT 1 FROM sessions WHERE id = %s FOR UPDATE", (tokens.session_id.bytes,))
        yield
