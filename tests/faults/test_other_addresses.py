"""Hosts with IPv6 only, and names with several addresses, in a network of their own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.processes import ServerProcess, wait_until

PORT = 50051
APART = ("unshare", "--net", "--mount")
HOSTS = {"both": "127.0.0.1 localhost\n::1 localhost\n", "four": "127.0.0.1 localhost\n"}
SIX_ONLY = "ip address delete 127.0.0.1/8 dev lo; "

Start = Callable[..., ServerProcess]


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Iterator[Start]:
    """Yield what starts a server on `localhost`, where that means what it is told, and waits for nothing."""
    if subprocess.run([*APART, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not make a network")
    with ExitStack() as servers:

        def make(hosts: str, prepare: str = "") -> ServerProcess:
            (tmp_path / "hosts").write_text(HOSTS[hosts])
            setup = f'ip link set lo up; {prepare}mount --bind {tmp_path}/hosts /etc/hosts; exec "$@"'
            wrapper = (*APART, "sh", "-c", setup, "sh")
            server = ServerProcess(database_url, tmp_path / "server", wrapper, host="localhost")
            server.port = PORT
            servers.callback(server.kill_all)
            server.launch()
            return server

        yield make


def serves(server: ServerProcess, address: str) -> bool:
    """Ask from within the network of a server."""
    command = [sys.executable, "-m", "authservice", "health", "--server", address]
    within = ["nsenter", "--target", str(server.pid), "--net", "--mount"]
    return subprocess.run([*within, *command], check=False, capture_output=True, cwd="/").returncode == 0


@pytest.mark.parametrize("backend", ["sqlite"])
def test_localhost_is_every_address_that_it_means(start: Start) -> None:
    server = start("both")
    wait_until(lambda: serves(server, f"[::1]:{PORT}"), 30, "an answer by IPv6")
    assert serves(server, f"127.0.0.1:{PORT}")


@pytest.mark.parametrize("backend", ["sqlite"])
def test_localhost_serves_on_a_host_with_ipv6_only(start: Start) -> None:
    server = start("both", SIX_ONLY)
    wait_until(lambda: serves(server, f"[::1]:{PORT}"), 30, "an answer by IPv6")
    server.terminate()
    assert server.exit_code() == 0


@pytest.mark.parametrize("backend", ["sqlite"])
def test_where_localhost_is_no_address_of_this_host_that_is_said(start: Start) -> None:
    server = start("four", SIX_ONLY)
    assert server.exit_code() == 1
    assert "localhost is 127.0.0.1" in server.stderr()
    assert "Choose a --host that is an address of this machine." in server.stderr()
    assert "other program" not in server.stderr()
