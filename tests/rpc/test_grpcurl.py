"""The service as an operator meets it: the real grpcurl, through reflection."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from authapi.v1 import auth_service_pb2 as api
from google.protobuf.descriptor import FileDescriptor

from tests.contract import FILES, ROOT
from tests.observed import PASSWORD

SERVICE = "authapi.v1.AuthService"


@pytest.fixture
def grpcurl() -> str:
    beside = Path(sys.executable).parent / "grpcurl"
    found = str(beside) if beside.exists() else shutil.which("grpcurl")
    assert found, "grpcurl comes with the development requirements"
    return found


def call(grpcurl: str, port: int, method: str, message: dict[str, str], *options: str) -> tuple[dict[str, Any], str]:
    """Return the answer and what was printed about a failure."""
    done = subprocess.run(
        [grpcurl, "-plaintext", *options, "-d", json.dumps(message), f"127.0.0.1:{port}", f"{SERVICE}/{method}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return (json.loads(done.stdout) if done.returncode == 0 else {}), done.stderr


def test_grpcurl_registers_logs_in_verifies_and_logs_out(grpcurl: str, port: int) -> None:
    user, _ = call(grpcurl, port, "Register", {"user_name": "ada", "password": PASSWORD})
    assert user["userName" if "userName" in user else "user_name"] == "ada"

    answer, _ = call(grpcurl, port, "Login", {"user_name_or_email": "ada", "password": PASSWORD})
    tokens = answer["tokens"]
    access_token = tokens.get("accessToken") or tokens["access_token"]

    answer, _ = call(grpcurl, port, "Verify", {"access_token": access_token})
    assert "ada" in answer["identity"].values()

    bearer = ("-H", f"authorization: Bearer {access_token}")
    answer, _ = call(grpcurl, port, "Logout", {}, *bearer)
    assert 1 in answer.values()

    answer, printed = call(grpcurl, port, "Verify", {"access_token": access_token})
    assert answer == {}
    assert "Code: Unauthenticated" in printed
    assert '"reason":"SESSION_ENDED"' in printed.replace(" ", "")
    assert access_token not in printed


def test_grpcurl_describes_the_service(grpcurl: str, port: int) -> None:
    command = [grpcurl, "-plaintext", f"127.0.0.1:{port}", "describe", SERVICE]
    described = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    for method in api.DESCRIPTOR.services_by_name["AuthService"].methods_by_name:
        assert f"rpc {method} " in described


@pytest.mark.parametrize("file", FILES, ids=lambda file: Path(file.name).stem)
def test_grpcurl_reads_each_file_of_the_contract_where_reflection_is_off(grpcurl: str, file: FileDescriptor) -> None:
    # It is of 2023, as many a protoc is. What only newer ones know would shut these out.
    command = [grpcurl, "-import-path", str(ROOT / "protos"), "-proto", file.name, "describe"]
    described = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (described.returncode, described.stderr) == (0, "")
