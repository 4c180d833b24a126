"""Many calls in no time: those of others are answered, and honest ones are told when to come back, if anything."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from tests.faults.processes import ServerProcess, running_server, wait_until
from tests.faults.seeding import Seeder
from tests.observed import Refusal, verify
from tests.rpc.rude_client import WINDOW, rude_client

RESETS = 20_000
BESIDE = 360
BURST = 6000
CONNECTIONS = 10
SECONDS = 60.0
VERIFY = "/authapi.v1.AuthService/Verify"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

pytestmark = [pytest.mark.entrance, pytest.mark.parametrize("backend", ["sqlite"], indirect=True)]


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server(database_url, tmp_path / "server") as server:
        yield server


@pytest.fixture
def token(seeds: Seeder) -> str:
    """Return a good access token."""
    return seeds.sessions(seeds.user("ada"), 1)[0].access_token


def test_x4_streams_that_are_opened_and_reset_cost_other_connections_no_call(server: ServerProcess, token: str) -> None:
    over = threading.Event()

    def flood() -> None:
        while not over.is_set():
            with rude_client(server.port, WINDOW) as rude:
                rude.open_and_reset(VERIFY, RESETS)

    with server.stub(patient=False) as stub:
        verify(stub, token)
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            for _ in range(BESIDE):
                assert verify(stub, token).user_name == "ada"
        finally:
            over.set()
            thread.join()


def test_an_honest_burst_is_answered_or_told_when_to_come_back(server: ServerProcess, token: str) -> None:
    with ExitStack() as stack:
        channels = [stack.enter_context(server.plain_channel()) for _ in range(CONNECTIONS)]
        stubs = [rpc.AuthServiceStub(channel) for channel in channels]
        for stub in stubs:
            verify(stub, token)
        request = api.VerifyRequest(access_token=token)
        calls = [stubs[number % CONNECTIONS].Verify.future(request, timeout=SECONDS) for number in range(BURST)]
        outcomes: Counter[str] = Counter()
        for call in calls:
            try:
                call.result()
                outcomes["OK"] += 1
            except grpc.RpcError as error:
                refused = Refusal(error)
                assert refused.retry_after, (refused.code, refused.message)
                outcomes[f"{refused.code.name} {refused.reason}"] += 1
    print(f"\n{BURST} calls over {CONNECTIONS} connections: {dict(outcomes)}")
    assert outcomes.keys() <= {"OK", "RESOURCE_EXHAUSTED OVERLOADED"}


def test_open_streams_of_reflection_hold_up_nobody(server: ServerProcess, token: str) -> None:
    with rude_client(server.port, WINDOW) as rude, server.stub(patient=False) as stub:
        for _ in range(200):
            rude.begin(REFLECTION)
        rude.await_server()
        assert verify(stub, token).user_name == "ada"
        wait_until(lambda: server.health() == 1, SECONDS, "health")
