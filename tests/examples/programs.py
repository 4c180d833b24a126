"""Programs as a new user starts them: from a shell, with their documented arguments."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from authapi.v1 import auth_service_pb2 as api

from tests.conftest import MASTER_KEY
from tests.examples.shops import EXAMPLE
from tests.faults.processes import ServerProcess, wait_until
from tests.observed import PASSWORD, login, register

ROOT = Path(__file__).parents[2]
GO = ROOT / "clients" / "go"
TYPESCRIPT = ROOT / "clients" / "typescript"
PYTHON_SERVICE, PYTHON_CUSTOMER = EXAMPLE / "serve.py", EXAMPLE / "customer.py"

START_SECONDS = 30.0
CALL_SECONDS = 60.0

Command = Sequence[str | Path]


def free_address() -> str:
    """Return an address of this machine on which nobody listens."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So shells start what runs in the background, and programs that are started here would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Program:
    """A program that serves, from its start to its end. In a process group of its own."""

    def __init__(self, command: Command, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._output = folder / "output"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*map(str, command)], cwd=folder, stdout=output, stderr=output, process_group=0
            )

    def output(self) -> str:
        """Return what it has printed."""
        return self._output.read_text()

    def wait_for(self, text: str) -> "Program":
        """Return as soon as it has printed this."""

        def is_there() -> bool:
            assert self._process.poll() is None, f"ended with {self._process.returncode}: {self.output()}"
            return text in self.output()

        wait_until(is_there, START_SECONDS, f"{text!r}; it says {self.output()!r}")
        return self

    def signal(self, signum: int) -> None:
        """Send it a signal."""
        self._process.send_signal(signum)

    def exit_code(self, seconds: float) -> int:
        """Wait for its end and return the exit code."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it and what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class OwnServer:
    """Settings of a server that one test has, or one file: the parameter of `auth`.

    No two are equal, however alike their settings: pytest would take a server over from a test with an equal one.
    """

    def __init__(self, **settings: str | float) -> None:
        self.settings = settings


class AuthProcess:
    """A running `authservice serve` and its operator."""

    def __init__(self, process: ServerProcess, folder: Path) -> None:
        self.process = process
        self._folder = folder

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.process.port}"

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self._folder

    @property
    def settings(self) -> dict[str, str]:
        """What its operator's commands have in their environment."""
        return {"AUTHSERVICE_DATA_DIR": str(self._folder), "AUTHSERVICE_MASTER_KEY": MASTER_KEY}

    def register(self, name: str) -> None:
        """Make an account."""
        with self.process.stub() as stub:
            register(stub, name, email=f"{name}@example.com")

    def login(self, name: str) -> api.SessionTokens:
        """Open a session."""
        with self.process.stub() as stub:
            return login(stub, name)

    def operate(self, *arguments: str) -> str:
        """Run a command of the operator's and return what it says."""
        command = [sys.executable, "-m", "authservice", *arguments]
        return finished(command, self._folder, CALL_SECONDS, {"PATH": os.environ["PATH"], **self.settings}).stdout


def finished(
    command: Command, folder: Path, seconds: float, environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its good end."""
    done = run(command, folder, seconds, environment)
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


def run(
    command: Command, folder: Path, seconds: float, environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end. After `seconds` it is killed, with all that it has started."""
    with subprocess.Popen(
        [*map(str, command)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def customer(command: Command, auth: AuthProcess, orders: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Let ada log in, order, watch, log out and be refused."""
    arguments = {"auth": auth.address, "orders": orders, "user": "ada", "password": PASSWORD}
    told = [part for name, value in arguments.items() for part in (f"--{name}", value)]
    return run([*command, *told], folder, CALL_SECONDS)


def copy_of_typescript(folder: Path) -> Path:
    """Return a copy of the client as it was checked out, where its scripts find what lies beside it."""
    copy = folder / "clients" / "typescript"
    shutil.copytree(TYPESCRIPT, copy, ignore=lambda _, names: {"node_modules", "dist"}.intersection(names))
    (folder / "clients" / "vectors").symlink_to(ROOT / "clients" / "vectors")
    for name in ("protos", "examples", ".venv"):
        (folder / name).symlink_to(ROOT / name)
    return copy
