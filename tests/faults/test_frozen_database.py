"""A database that accepts connections and says nothing: callers with a usual deadline are told so before it ends."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.config import load
from tests.conftest import CHEAPEST, MASTER_KEY, migrate, serve_in_process
from tests.mariadb import MariaDb, find_server, running_mariadb
from tests.observed import PASSWORD, refusal, register

pytestmark = pytest.mark.skipif(find_server() is None, reason="no MariaDB server on this machine")


@pytest.fixture
def database() -> Iterator[MariaDb]:
    with running_mariadb() as server:
        server.execute("CREATE DATABASE frozen")
        migrate(server.url("frozen"))
        yield server


def test_d2_a_login_that_meets_a_frozen_database_ends_with_a_reason_before_its_deadline(
    database: MariaDb, tmp_path: Path
) -> None:
    settings = load(database_url=database.url("frozen"), data_dir=tmp_path, master_key=MASTER_KEY)
    service = bootstrap.assemble(settings, hash_cost=CHEAPEST)
    server, port = serve_in_process(service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = rpc.AuthServiceStub(channel)
        register(stub, "ada")
        with service.parts.engine.connect(), service.parts.engine.connect(), service.parts.engine.connect():
            pass  # So that there are several in the pool, and all of them will be dead.
        os.kill(database.pid, signal.SIGSTOP)
        request = api.LoginRequest(user_name_or_email="ada", password=PASSWORD)
        answer = refusal(stub.Login, request, timeout=15)
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
        os.kill(database.pid, signal.SIGCONT)
    server.stop(0)
    service.close()
