"""A6: whatever breaks inside the judgement of a call, the answer is never yes."""

import socket
import struct
from dataclasses import replace
from typing import Any
from uuid import UUID

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from authclient import RuleRejected
from authclient._judging import rules

from authservice import bootstrap
from tests.conftest import serve_in_process, with_auth
from tests.observed import ObservedChannel, Refusal, login, refusal, register

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


class Broken:
    """Stands in for a collaborator that raises, whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("broken")


def verify_with(service: bootstrap.Service, **broken: Any) -> Refusal:
    """Log in soundly, then ask a service with broken parts about the token."""
    server, port = serve_in_process(service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = rpc.AuthServiceStub(channel)
        register(stub, "ada")
        token = login(stub, "ada").access_token
    server.stop(0)
    server, port = serve_in_process(with_auth(service, verify=replace(service.auth.verify, **broken)))
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            observed = ObservedChannel.around(channel)
            return refusal(rpc.AuthServiceStub(observed).Verify, api.VerifyRequest(access_token=token))
    finally:
        server.stop(0)


@pytest.mark.parametrize("part", ["access_tokens", "live_sessions", "clock"])
def test_a6_a_broken_part_of_verify_never_lets_a_token_through(service: bootstrap.Service, part: str) -> None:
    answer = verify_with(service, **{part: Broken()})
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")


def test_a6_an_answer_that_is_no_answer_lets_no_token_through(service: bootstrap.Service) -> None:
    class Unsure:
        def judge(self, session_id: UUID, *_: Any) -> None:
            return None

    assert verify_with(service, live_sessions=Unsure()).code is grpc.StatusCode.INTERNAL


def test_a6_a_rule_that_cannot_be_read_refuses_the_call(
    service: bootstrap.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> None:
        raise RuleRejected("the descriptors are broken")

    monkeypatch.setattr(rules, "rule_of", unreadable)
    server, port = serve_in_process(service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = refusal(register, rpc.AuthServiceStub(ObservedChannel.around(channel)), "ada")
    server.stop(0)
    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "METHOD_WITHOUT_RULE")


@pytest.mark.parametrize("value", [b"Bearer \xff\xfe", b"\xc3\x28", b"Bearer \xed\xa0\x80.a.b"])
def test_a6_metadata_that_is_no_text_lets_nobody_through(service: bootstrap.Service, value: bytes) -> None:
    server, port = serve_in_process(service)
    try:
        assert not _answered_with_a_message(port, "/authapi.v1.AuthService/Logout", value)
    finally:
        server.stop(0)


def _answered_with_a_message(port: int, path: str, authorization: bytes) -> bool:
    """Call by hand, since no grpc client would send such metadata. Errors come as trailers only, without DATA."""

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload

    def text(value: bytes) -> bytes:
        return bytes((len(value),)) + value

    block = (
        b"\x83\x86\x04" + text(path.encode()) + b"\x01" + text(b"localhost") + b"\x0f\x10" + text(b"application/grpc")
    )
    block += b"\x00" + text(b"te") + text(b"trailers") + b"\x00" + text(b"authorization") + text(authorization)
    body = b"\0" + struct.pack(">I", 0)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
        sock.sendall(frame(1, 4, 1, block) + frame(0, 1, 1, body))
        received, got_message = b"", False
        while chunk := sock.recv(65536):
            received += chunk
            while len(received) >= 9 and len(received) >= 9 + int.from_bytes(received[:3]):
                length, kind, flags = int.from_bytes(received[:3]), received[3], received[4]
                stream = int.from_bytes(received[5:9])
                received = received[9 + length :]
                got_message = got_message or (kind == 0 and length > 0)
                if stream == 1 and (kind == 3 or flags & 1):
                    return got_message
    return got_message
