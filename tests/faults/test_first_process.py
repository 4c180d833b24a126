"""The server as the first process of a container, which gets the orphans, and no signal that it has no handler for."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.processes import ServerProcess, wait_until

APART = ("unshare", "--pid", "--fork", "--kill-child")
ORPHANS = 20


class Contained(ServerProcess):
    """One whose parent is the first process of a namespace."""

    def __init__(self, database_url: str, folder: Path) -> None:
        super().__init__(database_url, folder, APART)

    @property
    def first(self) -> int:
        """The first process there, by its id here."""
        return next(iter(children(self.pid)))

    def make_orphan(self, until: Path) -> None:
        """Leave a process in the namespace that nobody there has started, and that ends once a file is there."""
        orphan = f"while [ ! -e {until} ]; do sleep 0.01; done &"
        subprocess.run(["nsenter", "--target", str(self.first), "--pid", "sh", "-c", orphan], check=True)

    def events(self) -> list[str]:
        """Return what has been logged."""
        return [json.loads(line)["event"] for line in self.stderr().splitlines()]


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Contained]:
    if subprocess.run([*APART, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not make a namespace")
    server = Contained(database_url, tmp_path / "server")
    try:
        yield server
    finally:
        server.kill_all()


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_first_process_of_a_container_buries_strangers_and_heeds_signals(
    server: Contained, end: signal.Signals, tmp_path: Path
) -> None:
    server.start()
    workers = children(server.first)
    for _ in range(ORPHANS):
        server.make_orphan(tmp_path / "end")
    wait_until(lambda: len(children(server.first)) == len(workers) + ORPHANS, 10, "the orphans to come")
    (tmp_path / "end").touch()
    wait_until(lambda: children(server.first) == workers, 10, "the orphans to be buried")
    os.kill(server.first, signal.SIGHUP)
    wait_until(lambda: "settings_reread" in server.events(), 10, "SIGHUP to be heeded")
    server.wait_serving()
    assert "worker_died" not in server.events()
    os.kill(server.first, end)
    assert server.exit_code() == 0


@pytest.mark.parametrize("backend", ["sqlite"])
def test_sigterm_ends_the_first_process_of_a_container_while_it_starts(server: Contained) -> None:
    server.launch()
    wait_until(lambda: "database" in server.events(), 10, "the start")
    os.kill(server.first, signal.SIGTERM)
    assert server.exit_code() in (143, 0), "before it serves, or just then"
