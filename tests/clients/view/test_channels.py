"""Connections to the authentication service: where tokens may travel in the clear, and how often a call is sent."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import authclient._view.watch
import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from authclient import Session, Trust
from authclient import aio as asynchronous
from authclient._judging.observer import Observer

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, SETTINGS, GOAWAY = 1, 4, 7
ACK = 1
NO_STREAM, NO_ERROR = 0, 0


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return an HTTP/2 frame (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class RefusingServer:
    """An HTTP/2 server that is about to end: it closes each connection at the first call, which it has not seen."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.streams = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, struct.error), connection, connection.makefile("rb") as incoming:
            assert incoming.read(len(PREFACE)) == PREFACE
            connection.sendall(frame(SETTINGS, 0, 0))
            while True:
                high, low, kind, flags, _ = struct.unpack(">BHBBI", incoming.read(9))
                incoming.read(high << 16 | low)
                if kind == SETTINGS and not flags & ACK:
                    connection.sendall(frame(SETTINGS, ACK, 0))
                elif kind == HEADERS:
                    self.streams += 1
                    connection.sendall(frame(GOAWAY, 0, 0, struct.pack(">II", NO_STREAM, NO_ERROR)))
                    return


@pytest.fixture
def refusing() -> Iterator[RefusingServer]:
    server = RefusingServer()
    yield server
    server.close()


def test_grpc_sends_a_call_again_by_itself_where_it_is_not_told_otherwise(refusing: RefusingServer) -> None:
    with grpc.insecure_channel(refusing.address) as channel, pytest.raises(grpc.RpcError):
        rpc.AuthServiceStub(channel).Verify(api.VerifyRequest(), timeout=SOON)
    assert refusing.streams > 1


def test_no_call_to_the_authentication_service_is_sent_again_by_grpc(refusing: RefusingServer) -> None:
    with Session(refusing.address) as session, pytest.raises(grpc.RpcError) as error:
        session.login("ada", "any")
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    assert refusing.streams == 1


def test_nor_is_one_of_an_asyncio_session(refusing: RefusingServer) -> None:
    async def login() -> None:
        async with asynchronous.Session(refusing.address) as session:
            await session.login("ada", "any")

    with pytest.raises(grpc.aio.AioRpcError) as error:
        asyncio.run(login())
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    assert refusing.streams == 1


class Told(Observer):
    """Notes that the connection was lost."""

    def __init__(self) -> None:
        self.lost = threading.Event()

    def disconnected(self, why: str) -> None:
        self.lost.set()


def test_what_waits_for_a_connection_is_sent_again_after_a_pause_only(
    refusing: RefusingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authclient._view.watch, "FIRST_PAUSE", 60.0)
    told = Told()
    with Trust(refusing.address, audience="internal", observer=told):
        assert told.lost.wait(SOON)
        assert refusing.streams == 1


def test_a_proxy_of_the_environment_does_not_hear_what_is_for_this_machine(
    auth: AuthServer, new_trust: Callable[..., Trust], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert new_trust(auth).wait_until_ready(1.0)
