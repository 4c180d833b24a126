"""Servers in processes of their own, on cores of their own, and what they cost."""

import contextlib
import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ALL_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORES = ALL_CORES[:1]
"""One core for the server under measurement; the load and the database get the rest."""
OTHER_CORES = ALL_CORES[1:] or ALL_CORES
START_SECONDS = 60
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Serving:
    """A running server. `pid` is the process that was started: the supervisor, where there is one."""

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
def serving(arguments: Sequence[str], variables: Mapping[str, str], cores: Sequence[int]) -> Iterator[Serving]:
    """Run `python -m arguments…` with {port} filled in, on some cores, until the block ends.

    A server is ready when it has printed a line. Raises RuntimeError with its last words if it does not get there.
    """
    port = _free_port()
    command = [sys.executable, "-m", *(argument.format(port=port) for argument in arguments)]
    environment = {"PATH": os.environ["PATH"], **variables}
    # In memory: a log on the disk would be flushed together with the database's.
    log = os.memfd_create("log")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log) as process:
        os.sched_setaffinity(process.pid, cores)
        try:
            if not _says_something(process):
                raise RuntimeError(f"{' '.join(command)} did not start")
            yield Serving(port, process.pid)
        except RuntimeError as error:
            last_words = os.pread(log, 1 << 20, 0).decode()[-2000:]
            error.add_note(f"The last words of {arguments[0]}:\n{last_words}")
            raise
        finally:
            process.terminate()
            os.close(log)


def _says_something(process: "subprocess.Popen[bytes]") -> bool:
    assert process.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return bool(selector.select(START_SECONDS) and process.stdout.readline())


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pin(pid: int, cores: Sequence[int]) -> None:
    """Hold a running process, all its threads, to some cores."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # It has just ended.
            os.sched_setaffinity(int(thread.name), cores)


def memory(pid: int) -> float:
    """Return the memory of a process in MiB, each page that it shares with others divided among them (PSS)."""
    return int(_field(Path(f"/proc/{pid}/smaps_rollup"), "Pss")) / 1024


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return int(_field(Path(f"/proc/{pid}/status"), "Threads"))


def _field(file: Path, name: str) -> str:
    for line in file.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.split()[1]
    raise RuntimeError(f"no {name} in {file}")


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _family(int(child)))]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
