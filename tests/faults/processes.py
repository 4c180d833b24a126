"""The real server as processes of its own, to be killed.

Everything it is told stands in its environment. It leads a process group, so that nothing that it forked is left
behind, and no other process is ever signalled. It leads no session: Linux schedules each session as one (autogroup),
and beside other load Linux 6.18 let a process of such a one wait for 23 s that could have run at any moment.
"""

import contextlib
import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc
from authclient import NEVER_RESENT
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conftest import HAS_ENTRANCE, MASTER_KEY
from tests.observed import ObservedChannel

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

START_SECONDS = 30.0
END_SECONDS = 60.0
"""What the end of a server that was told to end may take. Long before, its parent kills workers that do not heed it."""
POLL_SECONDS = 0.02
_CHANNEL_OPTIONS = (
    # A connection of its own: connections that share a target would share a worker.
    ("grpc.use_local_subchannel_pool", 1),
    *NEVER_RESENT,
    # grpc's own pause of a second before it connects again would be measured as the server's.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 100),
    # Named a pause, this is how long connecting may take. A server may be busy for a moment.
    ("grpc.min_reconnect_backoff_ms", 20_000),
)
CALL_SECONDS = 30
"""What a call may take. Hashing stands back behind all else that runs on the machine."""
_ESTABLISHED = "01"
_PATIENT = {"methodConfig": [{"name": [{}], "waitForReady": True, "timeout": f"{CALL_SECONDS}s"}]}
"""A service config for callers who wait while nobody listens, instead of asking again and again."""


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> float:
    """Return how many seconds it took until the condition held; fail after `seconds`."""
    begin = time.monotonic()
    while not condition():
        waited = time.monotonic() - begin
        assert waited < seconds, f"after {seconds:.0f} s still not: {what}"
        time.sleep(POLL_SECONDS)  # The pace of asking, not a guess at how long it takes.
    return time.monotonic() - begin


class ServerProcess:
    """One `authservice serve`. May be started again after its end, on the port it had.

    Args:
        folder: where it writes, and its working directory, so that no `.env` of this machine is read.
        wrapper: a command to run it under.
        python: the interpreter, if not that of the tests.
        settings: more variables, without their prefix.
    """

    def __init__(
        self,
        database_url: str,
        folder: Path,
        wrapper: Sequence[str] = (),
        python: str = sys.executable,
        /,
        **settings: str | float,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._python = python
        self._folder = folder
        self._wrapper = wrapper
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTHSERVICE_")}
        told: dict[str, str | float] = {
            "database_url": database_url,
            "data_dir": str(folder),
            "master_key": MASTER_KEY,
            "bcrypt_cost": 10,  # the least that is allowed
            "workers": 1,
            "entrance": "auto" if HAS_ENTRANCE else "off",
            **settings,
        }
        self._environment |= {f"AUTHSERVICE_{name.upper()}": str(value) for name, value in told.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> float:
        """Start it and return after how many seconds it was SERVING."""
        begin = time.monotonic()
        self.launch()
        self.port = self._greeted(self._folder / "stdout")
        self.wait_serving()
        return time.monotonic() - begin

    def launch(self) -> None:
        """Start it and wait for nothing."""
        with (self._folder / "stdout").open("wb") as out, (self._folder / "stderr").open("ab") as err:
            self._process = subprocess.Popen(
                [*self._wrapper, self._python, "-m", "authservice", "serve", "--port", str(self.port)],
                cwd=self._folder,
                env=self._environment,
                stdout=out,
                stderr=err,
                process_group=0,
            )

    def _greeted(self, output: Path) -> int:
        def greeting() -> re.Match[str] | None:
            assert self.running, f"ended with {self._process and self._process.returncode}: {self.stderr()[-2000:]}"
            return re.search(r"serves on 127\.0\.0\.1:(\d+)", output.read_text())

        wait_until(greeting, START_SECONDS, "the greeting of a started server")
        found = greeting()
        assert found
        return int(found[1])

    @property
    def pid(self) -> int:
        """The parent's process id."""
        assert self._process
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the parent is alive."""
        return self._process is not None and self._process.poll() is None

    def workers(self) -> list[int]:
        """Return the process ids of the workers, oldest first."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except FileNotFoundError:
            return []
        return sorted(map(int, children.split()), key=_birth)

    def mature_worker(self, seconds: float) -> int | None:
        """Return the oldest worker if it has lived that long. A supervisor gives up on workers that all die young."""
        return next((pid for pid in self.workers() if _age(pid) >= seconds), None)

    def kill_worker(self, pid: int) -> None:
        """End one worker as a crash."""
        assert pid in self.workers(), "only what this server started"
        os.kill(pid, signal.SIGKILL)

    def kill_parent(self) -> None:
        """End the parent alone as a crash."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def kill_all(self) -> None:
        """End parent and workers at one stroke, as a power cut would."""
        assert self._process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> None:
        """Ask it to end in good order."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """Wait for its end and return the exit code. Fails where it does not end, and says what it is doing instead."""
        assert self._process
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            states = {pid: _stat(pid)[:1] for pid in (self.pid, *self.workers())}
            pytest.fail(f"still there after {END_SECONDS:.0f} s, parent and workers: {states}")

    def stderr(self) -> str:
        """Return what all of its processes have logged since the first start."""
        return (self._folder / "stderr").read_text()

    def wait_serving(self, seconds: float = START_SECONDS) -> float:
        """Return after how many seconds a new connection was told SERVING."""
        return wait_until(lambda: self.health() == SERVING, seconds, "SERVING")

    def health(self) -> int | None:
        """Return what a new connection is told, None if nobody answers."""
        with self.plain_channel() as channel:
            try:
                stub = health_pb2_grpc.HealthStub(channel)
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)  # type: ignore[attr-defined]
                return int(answer.status)
            except grpc.RpcError:
                return None

    def plain_channel(self, *, patient: bool = False) -> grpc.Channel:
        """Return a channel with a connection of its own. With several workers, the kernel chooses whose it is."""
        config = [("grpc.service_config", json.dumps(_PATIENT))] if patient else []
        return grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[*_CHANNEL_OPTIONS, *config])

    @contextlib.contextmanager
    def stub(self, *, patient: bool = True) -> Iterator[rpc.AuthServiceStub]:
        """Yield a stub with a connection of its own, under observation. A patient one waits while nobody listens."""
        with self.plain_channel(patient=patient) as channel:
            yield rpc.AuthServiceStub(ObservedChannel.around(channel))


@contextlib.contextmanager
def running_server(database_url: str, folder: Path, **settings: str | float) -> Iterator[ServerProcess]:
    """Yield a started server and leave nothing of it behind."""
    server = ServerProcess(database_url, folder, **settings)
    try:
        server.start()
        yield server
    finally:
        server.kill_all()


@contextlib.contextmanager
def two_running_servers(
    folder: Path, first_url: str, second_url: str = "", **settings: str | float
) -> Iterator[list[ServerProcess]]:
    """Yield two started servers of one database that know nothing of each other, and leave nothing of them behind.

    Args:
        second_url: where the second one finds the database, if elsewhere.
    """
    places = {"a": first_url, "b": second_url or first_url}
    servers = [ServerProcess(url, folder / name, **settings) for name, url in places.items()]
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.kill_all)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(ServerProcess.start, servers))
        yield servers


def connections_to(port: int) -> set[str]:
    """Return the other ends of the connections to a port, as /proc/net spells them."""
    lines = itertools.chain(*(Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")))
    rows = [line.split() for line in lines]
    return {row[2] for row in rows if row[3] == _ESTABLISHED and row[1].endswith(f":{port:04X}")}


def _age(pid: int) -> float:
    """Return for how many seconds a process has lived, 0 or less if it is gone."""
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - _birth(pid)


def _birth(pid: int) -> float:
    """Return the moment at which a process began, in seconds since the machine did; of one that is gone, no moment."""
    stat = _stat(pid)
    return int(stat[19]) / os.sysconf("SC_CLK_TCK") if stat else math.inf


def _stat(pid: int) -> list[str]:
    """Return what the kernel says of a process, from its state on; nothing of one that is gone. See proc(5)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
