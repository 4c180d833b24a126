"""`authclient login`, as a person uses it who calls by hand."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pyotp
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc
from authclient import command

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from tests.conftest import CHEAPEST, serve_in_process
from tests.faults.seeding import seeder
from tests.observed import OTHER_PASSWORD, PASSWORD, register, verify

WAIT = 60


@pytest.fixture
def settings(migrated_sqlite: Path, tmp_path: Path) -> Settings:
    database = tmp_path / "authservice.db"
    database.write_bytes(migrated_sqlite.read_bytes())
    return Settings(database_url=f"sqlite:///{database}", data_dir=tmp_path)  # type: ignore[call-arg,arg-type]


@pytest.fixture
def server(settings: Settings) -> Iterator[str]:
    """Yield the address of a server with a user."""
    service = bootstrap.assemble(settings, hash_cost=CHEAPEST)
    served, port = serve_in_process(service)
    address = f"127.0.0.1:{port}"
    with grpc.insecure_channel(address) as channel:
        register(rpc.AuthServiceStub(channel), "ada")
    yield address
    served.stop(0)
    service.close()


def run(*arguments: str, stdin: str = PASSWORD + "\n") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "authclient", "login", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT,
    )


def test_it_prints_a_token_and_nothing_else_on_standard_output(server: str) -> None:
    done = run("--server", server, "--user", "ada", "--label", "by hand")
    assert done.returncode == 0, done.stderr
    with grpc.insecure_channel(server) as channel:
        assert verify(rpc.AuthServiceStub(channel), done.stdout.strip()).user_name == "ada"
    assert done.stdout.count("\n") == 1
    assert "It is good until " in done.stderr
    assert PASSWORD not in done.stderr


def test_it_asks_for_the_code_of_whoever_has_a_second_factor(server: str, settings: Settings) -> None:
    with seeder(settings) as seeds:
        user = seeds.service.admin.operate_users.find("ada", Deadline.after(WAIT))
        _, recovery_codes = seeds.app(user)
    done = run("--server", server, "--user", "ada", stdin=f"{PASSWORD}\n{recovery_codes[0]}\n")
    assert done.returncode == 0, done.stderr
    with grpc.insecure_channel(server) as channel:
        assert "mfa" in verify(rpc.AuthServiceStub(channel), done.stdout.strip()).auth_methods
    assert recovery_codes[0] not in done.stderr
    done = run("--server", server, "--user", "ada", stdin=f"{PASSWORD}\n{recovery_codes[0]}\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert "CODE_INVALID: " in done.stderr


def test_it_shows_what_an_app_needs_where_one_has_to_be_set_up(
    server: str, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = bootstrap.assemble(settings.model_copy(update={"require_second_factor": "everybody"}), hash_cost=CHEAPEST)
    served, port = serve_in_process(service)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    typed: list[str] = []

    def at_the_terminal(prompt: str) -> str:
        typed.append(prompt)
        if prompt == "Password: ":
            return PASSWORD
        (uri,) = re.findall(r"otpauth://\S+", capsys.readouterr().err)
        app: Any = pyotp.parse_uri(uri)
        return str(app.now())

    monkeypatch.setattr("getpass.getpass", at_the_terminal)
    assert command.main(["login", "--server", f"127.0.0.1:{port}", "--user", "ada"]) == 0
    told = capsys.readouterr()
    assert len(typed) == 2
    assert len(re.findall(r"^  \w{5}-\w{5}$", told.err, re.MULTILINE)) == 10
    served.stop(0)
    service.close()


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (("--user", "ada"), OTHER_PASSWORD, 1, "CREDENTIALS_INVALID: User name or password is wrong."),
        (("--user", "ada"), "", 1, "password: is required"),
        (("--user", "ada", "--server", "192.0.2.1:50051"), PASSWORD, 2, "is another machine"),
        (("--user", "ada", "--server", "nonsense"), PASSWORD, 2, "nonsense"),
        (("--user", "ada", "--ca-file", "/nowhere/ca.pem"), PASSWORD, 2, "/nowhere/ca.pem: No such file"),
        (("--user", "ada", "--server", "127.0.0.1:1"), PASSWORD, 2, "UNAVAILABLE"),
    ],
)
def test_what_is_wrong_is_said_without_a_trace(
    server: str, arguments: tuple[str, ...], stdin: str, code: int, said: str
) -> None:
    where = () if "--server" in arguments else ("--server", server)
    done = run(*where, *arguments, stdin=stdin)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_password_is_no_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["login", "--user", "ada", "--password", PASSWORD])
    assert "unrecognized arguments" in capsys.readouterr().err
