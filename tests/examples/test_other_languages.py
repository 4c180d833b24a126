"""One contract, three languages: each client against a service of another one, and each with its own tests."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples.conftest import GO_SECONDS, NPM_SECONDS
from tests.examples.programs import (
    GO,
    PYTHON_CUSTOMER,
    PYTHON_SERVICE,
    ROOT,
    TYPESCRIPT,
    AuthProcess,
    Program,
    customer,
    finished,
    free_address,
)

Start = Callable[..., Program]


def test_a_go_customer_of_the_python_service_is_refused_after_the_logout(
    auth: AuthProcess, start: Start, go_orders: Path, tmp_path: Path
) -> None:
    orders = free_address()
    start(sys.executable, PYTHON_SERVICE, "--listen", orders, "--auth", auth.address).wait_for("orders serves on")
    done = customer([go_orders, "call"], auth, orders, tmp_path)
    assert done.returncode == 0, done
    assert "placed order 1: compass" in done.stdout
    assert "refused with SESSION_ENDED" in done.stdout


def test_a_typescript_customer_of_the_go_service_is_refused_after_the_logout(
    auth: AuthProcess, go_service: str, typescript_orders: tuple[str | Path, ...], tmp_path: Path
) -> None:
    done = customer([*typescript_orders, "call"], auth, go_service, tmp_path)
    assert done.returncode == 0, done
    assert "placed: order 1, copper lantern" in done.stdout
    assert "UNAUTHENTICATED SESSION_ENDED" in done.stdout


def test_a_python_customer_of_the_typescript_service_is_refused_after_the_logout(
    auth: AuthProcess, typescript_service: str, tmp_path: Path
) -> None:
    done = customer([sys.executable, PYTHON_CUSTOMER], auth, typescript_service, tmp_path)
    assert done.returncode == 0, done
    assert "Order 1 of one apple is placed" in done.stdout
    assert "UNAUTHENTICATED SESSION_ENDED" in done.stdout


@pytest.mark.languages
@pytest.mark.timeout(GO_SECONDS)
def test_the_go_client_passes_its_own_tests(go: str) -> None:
    finished([go, "vet", "./..."], GO, GO_SECONDS)
    said = finished([go, "test", "-count=1", "./..."], GO, GO_SECONDS).stdout
    assert "ok  \tauthservice/clients/go/authclient" in said, "no test ran"


@pytest.mark.languages
@pytest.mark.timeout(NPM_SECONDS)
def test_the_typescript_client_passes_its_own_tests(typescript: Path) -> None:
    said = finished(["npm", "run", "test:compiled"], typescript, NPM_SECONDS).stdout
    assert "fail 0" in said
    assert "pass 0" not in said


def test_the_go_stubs_are_what_the_contract_says(go: str, tmp_path: Path) -> None:
    finished([GO / "generate.sh"], GO, GO_SECONDS, {**os.environ, "OUT": str(tmp_path), "PROTOC": _protoc()})
    _same_files(tmp_path, GO, "*.pb.go")


def test_the_typescript_stubs_are_what_the_contract_says(typescript: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "OUT": str(tmp_path), "PROTOC": _protoc()}
    finished([typescript / "generate.sh"], typescript, NPM_SECONDS, environment)
    _same_files(tmp_path, TYPESCRIPT / "src" / "gen", "*_pb.ts")


def _protoc() -> str:
    return f"{sys.executable} -m grpc_tools.protoc"


def _same_files(fresh: Path, committed: Path, pattern: str) -> None:
    expected, found = (
        {path.relative_to(folder): path.read_text() for path in folder.rglob(pattern)} for folder in (fresh, committed)
    )
    assert expected, "nothing was generated"
    stale = sorted(str(path) for path in expected.keys() | found.keys() if expected.get(path) != found.get(path))
    assert stale == [], f"run generate.sh in {committed.relative_to(ROOT)}"
