"""A log that nobody reads: calls are answered all the same, and the server ends when it is told to."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice.config import Settings
from authservice.domain.session import MOST_SPENT
from tests.faults.processes import SERVING, ServerProcess
from tests.faults.seeding import seeder
from tests.observed import PASSWORD

PIPE_BYTES = 65536
LINE_BYTES = 100
"""Less than a line of the audit has."""
WORKERS = 2


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[tuple[ServerProcess, Path]]:
    """Yield a server whose standard error is a named pipe with nobody at its other end, and the path of the pipe."""
    folder = tmp_path / "server"
    folder.mkdir()
    pipe = folder / "stderr"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    server = ServerProcess(database_url, folder, workers=WORKERS, shutdown_grace=5)
    try:
        server.start()
        os.close(reader)
        yield server, pipe
    finally:
        server.kill_all()


def use(stub: rpc.AuthServiceStub, lines: int) -> None:
    """Log in, refresh and log out, until as many lines have been written."""
    for _ in range(-(-lines // MOST_SPENT)):
        tokens = stub.Login(api.LoginRequest(user_name_or_email="ada", password=PASSWORD)).tokens
        for _ in range(MOST_SPENT):
            tokens = stub.Refresh(api.RefreshRequest(refresh_token=tokens.refresh_token)).tokens
        stub.Verify(api.VerifyRequest(access_token=tokens.access_token))
        stub.Logout(api.LogoutRequest(refresh_token=tokens.refresh_token))


@pytest.mark.parametrize("backend", ["sqlite"])
def test_calls_go_on_and_sigterm_ends_the_server_while_nobody_reads_its_log(
    server: tuple[ServerProcess, Path], settings: Settings
) -> None:
    process, pipe = server
    with seeder(settings) as seeds:
        seeds.user("ada")
    for _ in range(WORKERS):  # The kernel chooses, and each has an end of the pipe.
        with process.stub() as stub:
            stub.Register(api.RegisterRequest(user_name=f"grace{os.urandom(4).hex()}", password=PASSWORD))
            use(stub, 1)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # Somebody is there again, and does not read.
    for _ in range(WORKERS):
        with process.stub() as stub:
            use(stub, PIPE_BYTES // LINE_BYTES)
            assert process.health() == SERVING
    process.terminate()
    assert process.exit_code() == 0
    lines = os.read(reader, 2 * PIPE_BYTES).decode().splitlines()
    os.close(reader)
    audits = [json.loads(line).get("audit") for line in lines[:-1]]  # The last one may be in pieces.
    assert audits.count("user_registered") == WORKERS, "what was said to nobody has waited"
