"""Servers in processes of their own, on cores of their own, and what they cost."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ALL_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORES = ALL_CORES[:1]
"""One core for the server under measurement; the load and the database get the rest."""
OTHER_CORES = ALL_CORES[1:] or ALL_CORES
START_SECONDS = 60
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Serving:
    """A running server."""

    port: int
    pid: int

    @property
    def worker(self) -> int:
        """The process that serves: the youngest child, or the process itself."""
        return _family(self.pid)[-1]

    def cpu_seconds(self) -> float:
        """Return the processor time of the process and its children so far."""
        return sum(_cpu_seconds(pid) for pid in _family(self.pid))


@contextlib.contextmanager
def serving(arguments: list[str], variables: Mapping[str, str], cores: list[int]) -> Iterator[Serving]:
    """Run `python -m arguments…` with {port} filled in, on some cores, from when it is healthy until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", *(argument.format(port=port) for argument in arguments)]
    environment = {"PATH": os.environ["PATH"], **variables}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        os.sched_setaffinity(process.pid, cores)
        try:
            _await_healthy(port)
            yield Serving(port, process.pid)
        finally:
            process.terminate()


def free_port() -> int:
    """Return a free loopback port."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_healthy(port: int) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(START_SECONDS)
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=START_SECONDS)  # type: ignore[attr-defined]
        for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                watch.cancel()
                return


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _family(int(child)))]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
