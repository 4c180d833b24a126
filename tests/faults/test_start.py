"""What a server says at its start, and of callers who behave oddly."""

import json
from pathlib import Path

import grpc
import pytest

from tests.faults.processes import SERVING, running_server
from tests.rpc.rude_client import rude_client


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(("setting", "said"), [("auto", "on"), ("off", "off")])
def test_each_worker_says_how_it_takes_calls(database_url: str, tmp_path: Path, setting: str, said: str) -> None:
    with running_server(database_url, tmp_path / "server", workers=2, entrance=setting) as server:
        logged = [json.loads(line) for line in server.stderr().splitlines()]
    starts = [{name: line[name] for name in ("entrance", "grpcio")} for line in logged if line["event"] == "serving"]
    assert starts == [{"entrance": said, "grpcio": grpc.__version__}] * 2


@pytest.mark.parametrize("backend", ["sqlite"])
def test_what_a_server_logs_is_json_however_a_caller_takes_leave(database_url: str, tmp_path: Path) -> None:
    with running_server(database_url, tmp_path / "server") as server:
        with rude_client(server.port) as client:
            client.go_away()
        assert server.health() == SERVING
        for line in server.stderr().splitlines():
            json.loads(line)
