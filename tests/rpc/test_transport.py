"""Encryption, limits and rules of the transport."""

import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from authservice import bootstrap
from authservice.serving.worker import new_server
from authservice.transport.boundary import Boundary
from authservice.transport.certificates import TlsFiles
from authservice.transport.guard import own_guard
from authservice.transport.server import Limits
from tests.conftest import HAS_ENTRANCE, serve_in_process
from tests.observed import Refusal, refusal, register
from tests.rpc.authority import Authority

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "our-ca")


@contextmanager
def tls_server(service: bootstrap.Service, tls: TlsFiles) -> Iterator[int]:
    limits = Limits(threads=4, max_calls=64, password_calls=8)
    server = new_server(service, limits, has_reflection=False, has_entrance=HAS_ENTRANCE)
    port = server.listen("127.0.0.1:0", tls)
    server.start()
    yield port
    server.stop(0)


def verify_over_tls(port: int, root: Path, client: tuple[Path, Path] | None = None) -> Refusal:
    """Ask with garbage, so that an answer of the service itself is TOKEN_INVALID."""
    cert, key = (path.read_bytes() for path in client) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(root.read_bytes(), key, cert)
    options = (("grpc.ssl_target_name_override", "localhost"),)
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        return refusal(rpc.AuthServiceStub(channel).Verify, api.VerifyRequest(access_token="x"), timeout=5)


def test_x1_calls_travel_over_tls(service: bootstrap.Service, authority: Authority) -> None:
    with tls_server(service, TlsFiles(*authority.issue("server"))) as port:
        assert verify_over_tls(port, authority.cert_file).reason == "TOKEN_INVALID"
        with grpc.insecure_channel(f"127.0.0.1:{port}") as plain:
            answer = refusal(rpc.AuthServiceStub(plain).Verify, api.VerifyRequest(access_token="x"), timeout=5)
        assert answer.code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
def test_x1_old_tls_versions_are_refused_in_the_handshake(
    service: bootstrap.Service, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # So that it is the server that refuses.
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    tls = TlsFiles(*authority.issue("server"))
    with tls_server(service, tls) as port, create_connection(("127.0.0.1", port)) as sock:
        if version is ssl.TLSVersion.TLSv1_2:
            with context.wrap_socket(sock) as wrapped:
                assert wrapped.version() == "TLSv1.2"
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(sock)


def test_x2_with_a_client_ca_only_its_certificates_get_through(
    service: bootstrap.Service, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "other-ca")
    tls = TlsFiles(*authority.issue("server"), authority.cert_file)
    with tls_server(service, tls) as port:
        assert verify_over_tls(port, authority.cert_file, authority.issue("client")).reason == "TOKEN_INVALID"
        for wrong in (None, stranger.issue("stranger"), authority.issue("expired", days=-1)):
            answer = verify_over_tls(port, authority.cert_file, wrong)
            assert answer.code is grpc.StatusCode.UNAVAILABLE
            assert answer.reason is None


def test_x7_a_renewed_certificate_is_used_for_the_next_connection(
    service: bootstrap.Service, authority: Authority, tmp_path: Path
) -> None:
    renewing = Authority(tmp_path, "new-ca")
    cert, key = authority.issue("server")
    ours, theirs = authority.issue("client"), renewing.issue("new-client")
    client_ca = tmp_path / "clients.pem"
    client_ca.write_bytes(authority.cert_file.read_bytes())
    with tls_server(service, TlsFiles(cert, key, client_ca)) as port, capture_logs() as logged:
        assert verify_over_tls(port, authority.cert_file, ours).reason == "TOKEN_INVALID"
        new_cert, new_key = renewing.issue("renewed")
        new_cert.replace(cert)
        assert verify_over_tls(port, authority.cert_file, ours).reason == "TOKEN_INVALID", "the key is another's still"
        new_key.replace(key)
        assert verify_over_tls(port, renewing.cert_file, ours).reason == "TOKEN_INVALID"
        assert verify_over_tls(port, authority.cert_file, ours).code is grpc.StatusCode.UNAVAILABLE
        client_ca.write_bytes(renewing.cert_file.read_bytes())
        assert verify_over_tls(port, renewing.cert_file, theirs).reason == "TOKEN_INVALID"
        assert verify_over_tls(port, renewing.cert_file, ours).code is grpc.StatusCode.UNAVAILABLE
        cert.unlink()
        assert verify_over_tls(port, renewing.cert_file, theirs).reason == "TOKEN_INVALID", "the last one that was good"
    events = [line["event"] for line in logged if line["event"].startswith("certificate")]
    assert events == ["certificate_unusable", "certificate_renewed", "certificate_renewed", "certificate_unusable"]


def test_health_and_reflection_need_no_rule(service: bootstrap.Service, channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", "authapi.v1.AuthService"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name))  # type: ignore[attr-defined]
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a1_a_method_without_a_rule_is_refused_to_everybody(service: bootstrap.Service) -> None:
    reached = []

    def handler(request: bytes, context: grpc.ServicerContext) -> bytes:
        reached.append(request)
        return request

    guard = own_guard(service.auth.verify, *service.token_scope, api.DESCRIPTOR)
    server = grpc.server(ThreadPoolExecutor(2), interceptors=[guard, Boundary()])
    methods: dict[str, Any] = {"Echo": grpc.unary_unary_rpc_method_handler(handler)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("forgotten.v1.Service", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = refusal(channel.unary_unary("/forgotten.v1.Service/Echo"), b"hello")
    server.stop(0)
    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "METHOD_WITHOUT_RULE")
    assert reached == []


def test_o2_no_hash_is_computed_for_a_caller_without_time(service: bootstrap.Service) -> None:
    server, port = serve_in_process(service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = rpc.AuthServiceStub(channel)
        register(stub, "ada")
        before = service.parts.hash_pool.computed
        request = api.LoginRequest(user_name_or_email="ada", password="seven amber kettles hum at dawn")
        answer = refusal(stub.Login, request, timeout=0.08)
        assert answer.code is grpc.StatusCode.DEADLINE_EXCEEDED
    server.stop(5)
    assert service.parts.hash_pool.computed == before
