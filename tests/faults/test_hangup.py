"""SIGHUP: the server lives on, and rereads what can be reread."""

import json
import os
import signal
from pathlib import Path

import pytest

from authservice.serving.signals import Hangups
from tests.faults.processes import ServerProcess, running_server, wait_until

WORKERS = 2


def levels(server: ServerProcess) -> list[str]:
    lines = [json.loads(line) for line in server.stderr().splitlines()]
    return [line["log_level"] for line in lines if line["event"] == "settings_reread"]


def refused(server: ServerProcess) -> list[str]:
    lines = [json.loads(line) for line in server.stderr().splitlines()]
    return [line["reason"] for line in lines if line["event"] == "settings_not_reread"]


@pytest.mark.parametrize("backend", ["sqlite"])
def test_sighup_rereads_the_log_level_in_every_worker_and_in_those_that_replace_them(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "server" / ".env"
    with running_server(database_url, tmp_path / "server", workers=WORKERS) as server:
        workers = server.workers()
        file.write_text("AUTHSERVICE_LOG_LEVEL=debug\n")
        os.kill(server.pid, signal.SIGHUP)
        wait_until(lambda: levels(server) == ["debug"] * WORKERS, 10, "word of each worker")
        assert server.workers() == workers
        wait_until(lambda: server.mature_worker(2.5), 10, "a worker that is no quick death")
        server.kill_worker(workers[0])
        wait_until(lambda: levels(server) == ["debug"] * (WORKERS + 1), 20, "word of the new one")
        file.write_text("AUTHSERVICE_LOG_LEVEL=loud\n")
        os.kill(server.pid, signal.SIGHUP)
        wait_until(lambda: len(refused(server)) == WORKERS, 10, "word of each worker")
        assert all(reason.startswith("AUTHSERVICE_LOG_LEVEL: ") for reason in refused(server))
        server.wait_serving()
        server.terminate()
        assert server.exit_code() == 0


def test_a_hangup_before_it_can_be_heeded_is_heeded_once_it_can() -> None:
    heeded: list[str] = []
    hangups = Hangups()
    hangups.come()
    hangups.heed(lambda: heeded.append("one"))
    hangups.come()
    assert heeded == ["one", "one"]
