"""What a server that ends costs the clients that are waiting for it."""

import os
import threading
from collections import Counter
from pathlib import Path

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from authclient import NEVER_RESENT
from authclient._wire.channels import open_channel

from tests.faults.processes import running_server, wait_until
from tests.faults.seeding import Seeder

RESTARTS = int(os.environ.get("AUTHSERVICE_TEST_RESTARTS", "2"))
CLIENTS = 30
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)
MOST_MEBIBYTES = 100
"""The fault this is about takes a gigabyte a second."""


class PeakMemory:
    """The most memory that this process has had since this was made."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # Forget the peak so far: proc(5).
        self.before = self.mebibytes

    @property
    def mebibytes(self) -> float:
        """Return the peak."""
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.mark.timeout(60 + 10 * RESTARTS)
@pytest.mark.parametrize("backend", ["sqlite"])
def test_clients_that_wait_for_a_server_that_restarts_need_no_more_memory(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    token = seeds.sessions(seeds.user("ada"), 1)[0].access_token
    answers: Counter[str] = Counter()
    served: set[int] = set()
    stop = threading.Event()
    with running_server(database_url, tmp_path / "server", workers=2) as server:

        def client(number: int) -> None:
            with open_channel(f"127.0.0.1:{server.port}", None, False, OWN_CONNECTION + NEVER_RESENT) as channel:
                verify = rpc.AuthServiceStub(channel).Verify
                while not stop.is_set():
                    try:
                        verify(api.VerifyRequest(access_token=token), wait_for_ready=True, timeout=10)
                        answers["answered"] += 1
                        served.add(number)
                    except grpc.RpcError as error:
                        answers[error.code().name] += 1

        peak = PeakMemory()
        clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in clients:
            thread.start()
        try:
            for _ in range(RESTARTS):
                served.clear()
                wait_until(lambda: len(served) == CLIENTS, 20, "each of them to be answered")
                server.terminate()
                assert server.exit_code() == 0
                server.start()
        finally:
            stop.set()
            for thread in clients:
                thread.join()
        grown = peak.mebibytes - peak.before
    print(f"{RESTARTS} restarts under load: {dict(answers)}, {grown:.0f} MiB more at the peak")
    assert grown < MOST_MEBIBYTES
    assert set(answers) <= {"answered", "UNAVAILABLE", "CANCELLED"}
