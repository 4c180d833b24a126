"""An authentication server, and programs of three languages beside it, each a process of its own."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.examples.programs import GO, AuthProcess, Program, copy_of_typescript, finished, free_address
from tests.faults.processes import ServerProcess
from tests.memory import folder_in_memory

_ON_DEMAND = {"AUTHSERVICE_TEST_HOSTS": "test_hosts.py", "AUTHSERVICE_TEST_NETWORKS": "test_dropped_packets.py"}
collect_ignore = [file for variable, file in _ON_DEMAND.items() if variable not in os.environ]
"""What `make hosts` runs, in an environment with those programs, and `make networks`, in a network of its own."""
NPM_SECONDS = 300
GO_SECONDS = 600


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "languages: runs the whole test suites of the other clients")


@pytest.fixture(scope="module")
def auth(request: pytest.FixtureRequest, migrated_sqlite: Path) -> Iterator[AuthProcess]:
    """Yield a running `authservice serve` with the account `ada`, for all tests of a file that leave both as they are.

    A test that does not has an OwnServer for its parameter.
    """
    settings = request.param.settings if hasattr(request, "param") else {}
    with folder_in_memory() as folder:
        shutil.copy(migrated_sqlite, folder / "authservice.db")
        server = AuthProcess(ServerProcess(f"sqlite:///{folder / 'authservice.db'}", folder, **settings), folder)
        try:
            server.process.start()
            server.register("ada")
            yield server
        finally:
            server.process.kill_all()


@pytest.fixture(scope="module")
def watched(auth: AuthProcess) -> str:
    """Return the address of the server that services watch. A file may have another one for them."""
    return auth.address


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Yield what starts a program that serves, and leave nothing of it behind."""
    programs: list[Program] = []

    def begin(*command: str | Path) -> Program:
        programs.append(Program(command, tmp_path / f"program-{len(programs)}"))
        return programs[-1]

    yield begin
    for program in programs:
        program.kill()


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder for all processes that run tests, filled by the first that asks for it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, made = shared / name, shared / f"{name}-is-made"
    with (shared / f"{name}-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def go() -> str:
    """Return the Go command."""
    found = shutil.which("go")
    if not found:
        pytest.skip("no `go` on this machine: https://go.dev/dl, 1.25 or newer")
    return found


@pytest.fixture(scope="session")
def go_orders(go: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Go example, built once."""
    built = tmp_path_factory.mktemp("go") / "orders"
    finished([go, "build", "-o", built, "./examples/orders"], GO, GO_SECONDS)
    return built


@pytest.fixture(scope="session")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the TypeScript client, installed and compiled once. The checkout keeps its own node_modules."""
    for command in ("node", "npm"):
        if not shutil.which(command):
            pytest.skip(f"no `{command}` on this machine: https://nodejs.org, 20 or newer")

    def install(folder: Path) -> None:
        finished(["npm", "ci", "--prefer-offline"], copy_of_typescript(folder), NPM_SECONDS)

    return made_once(tmp_path_factory, "typescript", install) / "clients" / "typescript"


@pytest.fixture
def typescript_orders(typescript: Path) -> tuple[str | Path, ...]:
    """Return the command of the TypeScript example."""
    node = shutil.which("node")
    assert node
    return (node, typescript / "dist" / "examples" / "orders" / "main.js")


@pytest.fixture
def go_service(watched: str, start: Callable[..., Program], go_orders: Path) -> str:
    """Return the address of the Go example, serving."""
    address = free_address()
    start(go_orders, "serve", "-listen", address, "-auth", watched).wait_for("serving on")
    return address


@pytest.fixture
def typescript_service(watched: str, start: Callable[..., Program], typescript_orders: tuple[str | Path, ...]) -> str:
    """Return the address of the TypeScript example, serving."""
    address = free_address()
    start(*typescript_orders, "serve", "--listen", address, "--auth", watched).wait_for("listening on")
    return address
