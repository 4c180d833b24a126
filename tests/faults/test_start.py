"""What a server says at its start."""

import json
from pathlib import Path

import grpc
import pytest

from tests.faults.processes import running_server


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(("setting", "said"), [("auto", "on"), ("off", "off")])
def test_each_worker_says_how_it_takes_calls(database_url: str, tmp_path: Path, setting: str, said: str) -> None:
    with running_server(database_url, tmp_path / "server", workers=2, entrance=setting) as server:
        logged = [json.loads(line) for line in server.stderr().splitlines()]
    starts = [{name: line[name] for name in ("entrance", "grpcio")} for line in logged if line["event"] == "serving"]
    assert starts == [{"entrance": said, "grpcio": grpc.__version__}] * 2
