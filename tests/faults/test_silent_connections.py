"""Connections to the database that die without a word, as those do that a firewall has forgotten."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from sqlalchemy import make_url

from authservice.config import load
from authservice.serving.chores import PING_PERIOD
from authservice.storage.limits import ANSWER_SECONDS, STATEMENT_SECONDS
from authservice.storage.mysql import LOOK_PERIOD
from tests.conftest import MASTER_KEY, migrate
from tests.faults.processes import ServerProcess, running_server
from tests.faults.seeding import seeder
from tests.gateway import Gateway
from tests.observed import PASSWORD

SECONDS = STATEMENT_SECONDS / 2
"""A call's deadline: long before the database would be given up that says nothing."""


@pytest.fixture
def way(new_mariadb_url: Callable[[], str]) -> Iterator[tuple[Gateway, str]]:
    """Yield a gateway to a database, and its address through it."""
    url = make_url(new_mariadb_url())
    migrate(url.render_as_string(hide_password=False))
    with Gateway(url.port or 3306) as gateway:
        yield gateway, url.set(port=gateway.port).render_as_string(hide_password=False)


@pytest.fixture
def server(way: tuple[Gateway, str], tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server(way[1], tmp_path / "server") as server:
        yield server


@pytest.fixture
def token(way: tuple[Gateway, str], tmp_path: Path) -> str:
    settings = load(database_url=way[1], data_dir=tmp_path, master_key=MASTER_KEY)
    with seeder(settings) as seeds:
        return seeds.sessions(seeds.user("ada"), 1)[0].access_token


def calls(stub: rpc.AuthServiceStub, token: str) -> None:
    """Make one of each call, each of which has to be answered in time."""
    stub.Verify(api.VerifyRequest(access_token=token), timeout=SECONDS)
    tokens = stub.Login(api.LoginRequest(user_name_or_email="ada", password=PASSWORD), timeout=SECONDS).tokens
    tokens = stub.Refresh(api.RefreshRequest(refresh_token=tokens.refresh_token), timeout=SECONDS).tokens
    stub.Logout(api.LogoutRequest(refresh_token=tokens.refresh_token), timeout=SECONDS)


def test_calls_are_answered_in_time_when_every_connection_has_died_without_a_word(
    way: tuple[Gateway, str], server: ServerProcess, token: str
) -> None:
    gateway, _ = way
    with server.stub() as stub:
        for _ in range(3):
            calls(stub, token)
            time.sleep(2 * LOOK_PERIOD)  # The fault itself: those that are used just now are not what it is about.
            gateway.silence()
        calls(stub, token)


def test_a_connection_that_would_be_forgotten_is_not_idle_or_is_not_trusted(
    way: tuple[Gateway, str], server: ServerProcess, token: str
) -> None:
    gateway, _ = way
    with server.stub() as stub:
        calls(stub, token)
        gateway.forgets_after = 2.5 * PING_PERIOD
        time.sleep(2 * gateway.forgets_after)  # The fault itself: nobody calls for so long.
        # Sooner than a question over a dead connection is given up.
        stub.Verify(api.VerifyRequest(access_token=token), timeout=ANSWER_SECONDS)
        calls(stub, token)
