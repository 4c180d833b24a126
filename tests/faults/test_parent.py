"""The parent of the workers: a small process that only waits, the same before and after it has become small."""

from pathlib import Path

import pytest

from tests.faults.processes import ServerProcess, running_server, wait_until
from tests.faults.seeding import Seeder
from tests.observed import verify

MOST_MIB = 30
STARTS = 6


@pytest.mark.parametrize("backend", ["sqlite"])
def test_the_parent_has_imported_nothing_of_the_service_and_is_the_command_that_was_started(
    database_url: str, tmp_path: Path
) -> None:
    with running_server(database_url, tmp_path / "server") as server:
        of_parent = Path(f"/proc/{server.pid}")
        assert _memory(server.pid) <= MOST_MIB
        for library in ("cygrpc", "_pydantic_core", "_rust"):
            assert library in Path(f"/proc/{server.workers()[0]}/maps").read_text()
            assert library not in (of_parent / "maps").read_text()
        command = (of_parent / "cmdline").read_bytes().split(b"\0")
        assert command[1:6] == [b"-m", b"authservice", b"serve", b"--port", b"0"]


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_replaced_worker_has_the_settings_that_the_server_was_started_with(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    alive = seeds.sessions(seeds.user("ada"), 1)[0].access_token
    with running_server(database_url, tmp_path / "server") as server:
        (tmp_path / "server" / ".env").write_text("AUTHSERVICE_ISSUER=somebody-else\nAUTHSERVICE_LOG_LEVEL=error\n")
        before = server.workers()
        server.kill_worker(before[0])
        wait_until(lambda: set(server.workers()) - set(before), 10, "a new worker")
        with server.stub() as stub:
            verify(stub, alive)
        assert '"event": "worker_died"' in server.stderr()


@pytest.mark.parametrize("backend", ["sqlite"])
def test_k5_sigterm_while_the_parent_becomes_small_ends_the_server_in_good_order(
    database_url: str, tmp_path: Path
) -> None:
    server = ServerProcess(database_url, tmp_path / "server", workers=2)
    try:
        for number in range(STARTS):
            server.launch()
            # One child alone prepares. As soon as there are two, the parent is about to begin anew.
            wait_until(lambda: len(server.workers()) == 2 or not server.running, 30, f"workers of start {number}")
            workers = server.workers()
            server.terminate()
            assert server.exit_code() == 0, server.stderr()[-2000:]
            assert "workers_do_not_stop" not in server.stderr()
            assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    finally:
        server.kill_all()


def _memory(pid: int) -> float:
    """Return the memory of a process in MiB, each page that it shares with others divided among them (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
