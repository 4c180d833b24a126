"""What the pages show is what happens: their blocks run, and their output compared with what stands below them."""

import base64
import difflib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples.pages import ERRORS, OPERATIONS, PAGES, PROTECT, README, RULES, TOKENS, block
from tests.examples.programs import (
    CALL_SECONDS,
    PYTHON_CUSTOMER,
    PYTHON_SERVICE,
    ROOT,
    AuthProcess,
    OwnServer,
    Program,
    customer,
    free_address,
    run,
)
from tests.examples.shops import EXAMPLE

BASH = shutil.which("bash") or "bash"
AUTH, ORDERS = "127.0.0.1:50051", "127.0.0.1:50052"

Start = Callable[..., Program]


def comparable(output: str) -> str:
    """Return an output without what differs from one run to the next."""
    output = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", output)
    output = re.sub(r'"id": "\d+"', '"id": "<number>"', output)
    output = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "<time>", output)
    output = re.sub(r"seconds: \d+", "seconds: <some>", output)
    output = re.sub(r"\d+ bytes", "<some> bytes", output)
    return re.sub(r"Refused \d+ ms", "Refused <some> ms", output)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder in which the commands of the pages find what they name."""
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("protos", "examples"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture
def orders(auth: AuthProcess, start: Start) -> str:
    """Return the address of the running example."""
    address = free_address()
    start(sys.executable, PYTHON_SERVICE, "--listen", address, "--auth", auth.address).wait_for("orders serves on")
    return address


@pytest.fixture
def shell(auth: AuthProcess, orders: str, folder: Path) -> "Callable[[str], subprocess.CompletedProcess[str]]":
    """Return what runs a block for the two running servers."""

    def execute(commands: str) -> "subprocess.CompletedProcess[str]":
        # The environment is set up already.
        commands = commands.replace(AUTH, auth.address).replace(ORDERS, orders).replace("make setup ", ": ")
        return run(["bash", "-euo", "pipefail", "-c", commands], folder, CALL_SECONDS)

    return execute


Shell = Callable[[str], "subprocess.CompletedProcess[str]"]


def test_the_customer_prints_what_the_pages_show(auth: AuthProcess, orders: str, tmp_path: Path) -> None:
    done = customer([sys.executable, PYTHON_CUSTOMER], auth, orders, tmp_path)
    for shown in (block(README, "", "The shop sells"), block(PROTECT, "", "The shop sells")):
        assert comparable(done.stdout) == comparable(shown)


def test_the_diff_on_the_page_is_the_one_between_the_two_examples() -> None:
    before, after = (
        (EXAMPLE / name).read_text().splitlines()[1:] for name in ("serve_unprotected.py", "serve.py")
    )  # The first line of each says which of the two it is.
    real = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    shown = block(PROTECT, "diff").splitlines()
    assert [line for line in shown if line[0] in "+-"] == [line for line in real if line[0] in "+-"]
    assert all(line[1:] in before for line in shown if line[0] == " ")


def test_a_call_by_hand_is_answered_and_refused_as_the_page_shows(shell: Shell, folder: Path) -> None:
    commands = block(PROTECT, "sh", "> token.txt", "PlaceOrder")
    done = shell(commands)
    assert done.returncode == 0, done.stderr
    assert comparable(done.stdout) == comparable(block(PROTECT, "json", '"order"'))
    assert (folder / "token.txt").stat().st_mode & 0o077 == 0, "others can read the token"
    done = shell(block(PROTECT, "sh", "-expand-headers"))
    assert comparable(done.stdout) == comparable(block(PROTECT, "json", '"order"'))
    call = commands[commands.rindex(".venv/bin/grpcurl") :]
    refused = shell(call.replace('-H "authorization: Bearer $(cat token.txt)" ', ""))
    assert refused.stderr == block(PROTECT, "", "TOKEN_MISSING")


@pytest.mark.parametrize("auth", [OwnServer()], ids=["own"], indirect=True)
def test_a_role_is_missing_and_granted_as_the_page_shows(shell: Shell, auth: AuthProcess) -> None:
    log_in = block(PROTECT, "sh", "> token.txt", "PlaceOrder")  # and order, of which there are none yet
    placed = shell(log_in)
    assert placed.returncode == 0, placed.stderr
    cancel = block(PROTECT, "sh", "CancelOrder").replace(
        '"id": "2"', f'"id": "{json.loads(placed.stdout)["order"]["id"]}"'
    )
    assert shell(cancel).stderr == block(PROTECT, "", "ROLE_MISSING")
    grant = block(PROTECT, "sh", "users grant").split()
    assert auth.operate(*grant[1:]) == block(PROTECT, "", "now has the role")
    assert "TOKEN_OUTDATED" in shell(cancel).stderr
    assert shell(log_in).returncode == 0
    done = shell(cancel)
    assert json.loads(done.stdout) == {}, done.stderr


def test_the_first_calls_of_the_readme_pass_no_proxy(
    shell: Shell, auth: AuthProcess, orders: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "grpc_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        for commands, shown in (
            (block(README, "sh", "Register"), block(README, "json", "create_time")),
            (block(README, "sh", "Verify"), block(README, "", "auth_methods")),
        ):
            done = shell(commands.replace('"ada"', '"grace"'))
            assert done.returncode == 0, done.stderr
            assert comparable(done.stdout).strip() == comparable(shown).replace('"ada"', '"grace"').strip()
        assert customer([sys.executable, PYTHON_CUSTOMER], auth, orders, tmp_path).returncode == 0
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_what_is_wrong_with_a_request_is_read_with_grpcurl_as_the_page_shows(shell: Shell) -> None:
    assert shell(block(ERRORS, "sh", '"short"')).stderr == block(ERRORS, "", "Code: InvalidArgument")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    without_reflection = block(ERRORS, "sh", "error_details.proto").replace("python3.11", version)
    assert '"reason":"TOKEN_MISSING"' in shell(without_reflection).stderr


def test_the_signing_keys_and_a_header_are_of_the_form_on_the_page(shell: Shell, auth: AuthProcess) -> None:
    said, shown = (
        json.loads(text)["key_set"]["keys"]
        for text in (shell(block(TOKENS, "sh", "GetSigningKeys")).stdout, block(TOKENS, "json", "key_set"))
    )
    assert [(key.keys(), key["alg"], key["state"]) for key in said] == [
        (key.keys(), key["alg"], key["state"]) for key in shown
    ]
    header = json.loads(base64.urlsafe_b64decode(auth.login("ada").access_token.partition(".")[0] + "=="))
    assert header == json.loads(block(TOKENS, "json", '"at+jwt"')) | {"kid": header["kid"]}


def test_health_is_asked_with_grpcurl_as_the_page_shows(shell: Shell) -> None:
    assert json.loads(shell(block(OPERATIONS, "sh", "grpcurl -plaintext", "Health")).stdout) == {"status": "SERVING"}


@pytest.mark.parametrize("auth", [OwnServer()], ids=["own"], indirect=True)
def test_operators_are_told_what_the_pages_show(
    shell: Shell, auth: AuthProcess, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in auth.settings.items():
        monkeypatch.setenv(name, value)
    token = auth.login("ada").access_token
    (folder / "token.txt").write_text(token)
    done = shell(block(OPERATIONS, "sh", "users list"))
    assert rows(done.stdout) == rows(block(OPERATIONS, "", "live sessions"))
    auth.operate("users", "revoke", "ada", "support")
    kid = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"]
    explained = shell(block(OPERATIONS, "sh", "explain <")).stdout.replace(kid, KID)
    assert block(OPERATIONS, "sh", "explain <") == block(PROTECT, "sh", "explain <")
    assert rows(explained) == rows(block(OPERATIONS, "", "signature and claims"))
    shell(block(PROTECT, "sh", "--descriptor_set_out=orders.binpb"))
    explained = shell(block(RULES, "sh", "explain --method")).stdout.replace(kid, KID)
    assert rows(explained) == rows(block(RULES, "", "signature and claims"))
    keys = json.loads(shell(block(TOKENS, "sh", "GetSigningKeys")).stdout)["key_set"]["keys"]
    kid = next(key["kid"] for key in keys if not key["kid"].startswith("-"))  # which is taken for an option
    done = shell(block(OPERATIONS, "sh", "keys revoke").replace(KID, kid))
    assert done.stdout.replace(kid, KID) == block(OPERATIONS, "", "is removed"), done.stderr


KID = "RssrqjVepMTplviv"
"""The key of the pages."""


def rows(output: str) -> list[list[str]]:
    """Return the words of each line, but for what differs from one run to the next."""
    return [line.split() for line in comparable(output).splitlines()]


def test_lint_says_of_the_example_what_the_page_shows(shell: Shell) -> None:
    commands = block(PROTECT, "sh", "--descriptor-set orders.binpb")
    good, bad = block(PROTECT, "", "4 RPCs, 0 without"), block(PROTECT, "", "unknown role support")
    done = shell(commands)
    assert (done.returncode, done.stdout + done.stderr) == (0, good)
    done = shell(commands.replace("--role support", "--role admin"))
    assert (done.returncode, done.stdout + done.stderr) == (1, bad)
    done = shell(block(PROTECT, "sh", "lint --server"))
    assert (done.returncode, done.stdout + done.stderr) == (0, good)


@pytest.mark.parametrize(("page", "command"), [("rules", "authclient"), ("operations", "authservice")])
def test_a_shell_that_finds_no_command_by_its_name_completes_it_as_the_page_says(
    page: str, command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    assert shutil.which(command) is None
    [line] = re.findall(r'eval "\$\(.*\)"', (ROOT / "docs" / f"{page}.md").read_text())
    done = run([BASH, "-c", f"{line}; complete -p {command}"], folder, CALL_SECONDS)
    assert done.returncode == 0, done.stderr
    assert f"-F _{command}" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_page_installs_by_a_name_that_anybody_could_publish(page: Path) -> None:
    assert not re.search(r"^\s*pip install ['\"]?authservice(?! @)", page.read_text(), re.MULTILINE)
