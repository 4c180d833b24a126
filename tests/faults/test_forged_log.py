"""Callers who try to write into the log, by what grpc's core repeats of what they say."""

import contextlib
import json
import signal
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authservice.config import Settings
from authservice.serving.raw_output import MOST_CHARACTERS
from tests.faults.idle_workers import LAST_WORDS
from tests.faults.processes import ServerProcess, wait_until
from tests.rpc.authority import Authority
from tests.rpc.rude_client import ENHANCE_YOUR_CALM, GOAWAY, PING, PREFACE, SETTINGS, frame

FORGED = '{"audit": "logout", "event": "audit", "session_id": "forged", "level": "info"}'
PING_TEXT = b"are you?"
ATTEMPTS = 500
LINES_AT_MOST = 10
ROOT = Path(__file__).parents[2]


class TlsServer(ServerProcess):
    """One that speaks TLS, and whose standard error takes all that grpc has to say."""

    def __init__(self, settings: Settings, folder: Path, authority: Authority) -> None:
        cert, key = authority.issue("localhost")
        assert settings.database_url
        super().__init__(
            settings.database_url.get_secret_value(), folder, tls_cert_file=str(cert), tls_key_file=str(key)
        )
        self._environment["GRPC_VERBOSITY"] = "INFO"
        self._environment["GRPC_TRACE"] = "http"

    def wait_serving(self, seconds: float = 0) -> float:
        """Its greeting is enough."""
        return 0.0

    def log(self) -> list[dict[str, Any]]:
        """Return every line of the log, each of which has to be one of JSON."""
        return [json.loads(line) for line in self.stderr().splitlines()]

    def told(self) -> list[str]:
        """Return what it has told of what was written past its log."""
        return [line["text"] for line in self.log() if line["event"] == "raw_output"]


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[TlsServer]:
    server = TlsServer(settings, tmp_path / "server", Authority(tmp_path, "ours"))
    try:
        server.start()
        yield server
    finally:
        server.kill_all()


def goaway(server: TlsServer, text: str, times: int = 1) -> None:
    """Send GOAWAY frames that carry a text, and wait until they have been read."""
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["h2"])
    payload = struct.pack(">II", 0, ENHANCE_YOUR_CALM) + text.encode()
    with socket.create_connection(("127.0.0.1", server.port)) as plain, context.wrap_socket(plain) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(GOAWAY, 0, 0, payload) * times)
        connection.sendall(frame(PING, 0, 0, PING_TEXT))
        heard = b""
        while PING_TEXT not in heard:
            heard += connection.recv(4096)


def junk(server: TlsServer, data: bytes) -> None:
    """Say on the TLS port what is no TLS."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection, contextlib.suppress(OSError):
        connection.sendall(data)
        while connection.recv(4096):
            pass


@pytest.mark.parametrize("backend", ["sqlite"])
def test_nobody_writes_lines_of_the_log_nor_fills_it(server: TlsServer) -> None:
    def has_been_told() -> bool:
        # Again and again: what does not fit is lost, and grpc has much to say of a start.
        goaway(server, f"x\n{FORGED}\n", ATTEMPTS)
        return any(FORGED in text for text in server.told())

    wait_until(has_been_told, 60, "what grpc has written where it could")
    for _ in range(ATTEMPTS // 10):
        junk(server, f"\n{FORGED}\n".encode())
    server.terminate()
    assert server.exit_code() == 0
    assert not [line for line in server.log() if line.get("audit") == "logout"]
    assert len(server.told()) <= LINES_AT_MOST
    assert max(map(len, server.told())) < MOST_CHARACTERS + 10


def test_the_last_words_of_a_worker_that_crashes_are_in_the_log() -> None:
    command = [sys.executable, "-m", "tests.faults.idle_workers", "1", "crashing"]
    program = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    events = [json.loads(line) for line in program.stderr.splitlines()]
    assert [(line["event"], line.get("text"), line.get("status")) for line in events[:2]] == [
        ("raw_output", LAST_WORDS, None),
        ("worker_died", None, -signal.SIGABRT),
    ]
