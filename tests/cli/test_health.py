"""`authservice health`, and the probes of the documents, against a real server."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from authclient import Trust
from grpc_health.v1 import health_pb2, health_pb2_grpc

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.serving.chores import start_feeding
from authservice.serving.worker import new_server
from authservice.transport.certificates import TlsFiles
from authservice.transport.server import Limits, Server
from authservice.transport.streams.health import LIVENESS
from authservice.usecases.auth.register import Registration
from tests.cli.conftest import Run
from tests.conftest import HAS_ENTRANCE
from tests.examples.pages import OPERATIONS, block
from tests.rpc.authority import Authority

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@contextmanager
def serving(service: bootstrap.Service, tls: TlsFiles | None = None) -> Iterator[tuple[Server, int]]:
    limits = Limits(threads=4, max_calls=64, password_calls=8, max_watchers=4)
    server = new_server(service, limits, has_reflection=True, has_entrance=HAS_ENTRANCE)
    port = server.listen("127.0.0.1:0", tls)
    feeding = start_feeding(service, server)
    server.start()
    server.set_healthy(True)
    yield server, port
    feeding.stop()
    server.stop(0)


def test_it_says_whether_the_server_of_the_settings_serves(service: bootstrap.Service, run: Run) -> None:
    with serving(service) as (server, port):
        here = {"AUTHSERVICE_PORT": str(port)}
        asked = run("health", **here)
        assert (asked.returncode, asked.stdout) == (0, "SERVING\n")
        assert run("health", "--service", "authapi.v1.AuthService", **here).returncode == 0
        server.set_healthy(False)
        asked = run("health", **here)
        assert (asked.returncode, asked.stderr) == (1, f"Error: 127.0.0.1:{port} says NOT_SERVING.\n")
        assert run("health", "--service", LIVENESS, **here).returncode == 0
        assert "has no service 'canary'" in run("health", "--service", "canary", **here).stderr
    asked = run("health", "--server", f"127.0.0.1:{port}")
    assert asked.returncode == 1
    assert f"127.0.0.1:{port} by plaintext does not answer: UNAVAILABLE" in asked.stderr


def test_it_speaks_tls_as_the_settings_or_the_options_say(service: bootstrap.Service, run: Run, tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path, "our-ca"), Authority(tmp_path, "other-ca")
    cert, key = authority.issue("server")
    ca = str(authority.cert_file)
    with serving(service, TlsFiles(cert, key)) as (_, port):
        settings = {
            "AUTHSERVICE_TLS_CERT_FILE": str(cert),
            "AUTHSERVICE_TLS_KEY_FILE": str(key),
            "AUTHSERVICE_PORT": str(port),
        }
        assert run("health", "--ca-file", ca, **settings).stdout == "SERVING\n"
        there = ("--server", f"localhost:{port}")
        assert run("health", *there, "--ca-file", ca).returncode == 0
        assert "by TLS does not answer" in run("health", *there, "--ca-file", str(stranger.cert_file)).stderr
        assert "by plaintext does not answer" in run("health", *there).stderr
        (tmp_path / "chain.pem").write_bytes(cert.read_bytes() + authority.cert_file.read_bytes())
        own = {**settings, "AUTHSERVICE_TLS_CERT_FILE": str(tmp_path / "chain.pem")}
        assert run("health", **own).stdout == "SERVING\n", "whose chain has the CA"


def test_it_shows_a_certificate_where_one_is_asked_for(service: bootstrap.Service, run: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "our-ca")
    client_cert, client_key = authority.issue("client")
    with serving(service, TlsFiles(*authority.issue("server"), authority.cert_file)) as (_, port):
        ask = ("health", "--server", f"localhost:{port}", "--ca-file", str(authority.cert_file))
        assert run(*ask).returncode == 1
        assert run(*ask, "--cert-file", str(client_cert), "--key-file", str(client_key)).stdout == "SERVING\n"
        assert run(*ask, "--cert-file", str(client_cert)).returncode == 2


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_answers_in_both_versions(service: bootstrap.Service, version: str) -> None:
    with serving(service) as (_, port), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask: Any = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
        (answer,) = ask(iter([b"\x3a\x00"]), timeout=10)  # list_services
        assert b"authapi.v1.AuthService" in answer


def test_the_shipped_health_proto_is_what_the_server_speaks(service: bootstrap.Service) -> None:
    grpcurl = str(Path(sys.executable).parent / "grpcurl")
    proto = ("-import-path", str(OPERATIONS.parent / "protos"), "-proto", "grpc/health/v1/health.proto")
    with serving(service) as (_, port):
        for method in ("Check", "List"):
            command = [grpcurl, "-plaintext", *proto, f"127.0.0.1:{port}", f"grpc.health.v1.Health/{method}"]
            assert "SERVING" in subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def probes(kind: str) -> dict[str, dict[str, Any]]:
    """Return the probes of the document's listings, by name."""
    listings = block(OPERATIONS, "yaml", "grpc: {port"), block(OPERATIONS, "yaml", "exec: {command")
    found = {name: probe for listing in listings for name, probe in yaml.safe_load(listing).items() if kind in probe}
    assert set(found) == {"startupProbe", "livenessProbe", "readinessProbe"}
    return found


def test_j_while_the_database_is_away_kubernetes_sends_nobody_and_restarts_nothing(
    service: bootstrap.Service, run: Run
) -> None:
    with serving(service) as (server, port), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)

        def serves(probe: dict[str, Any]) -> bool:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=probe["grpc"].get("service", "")), timeout=10)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

        def succeeds(probe: dict[str, Any]) -> bool:
            program, *arguments = probe["exec"]["command"]
            assert program == "authservice"
            return run(*arguments, AUTHSERVICE_PORT=str(port)).returncode == 0

        for kind, is_well in (("grpc", serves), ("exec", succeeds)):
            server.set_healthy(True)
            assert {name: is_well(probe) for name, probe in probes(kind).items()} == dict.fromkeys(probes(kind), True)
            server.set_healthy(False)
            assert {name for name, probe in probes(kind).items() if is_well(probe)} == {"startupProbe", "livenessProbe"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_the_certificates_of_the_documents_let_their_clients_in_and_nobody_else(
    service: bootstrap.Service, tmp_path: Path
) -> None:
    def shell(commands: str) -> "subprocess.CompletedProcess[str]":
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=tmp_path,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )

    make, call = block(OPERATIONS, "sh", "openssl req -x509"), block(OPERATIONS, "sh", "grpcurl -cacert")
    assert shell(make).returncode == 0
    (tmp_path / "protos").symlink_to(OPERATIONS.parents[1] / "protos")
    service.auth.register(Registration("ada", "quiet copper lantern 47 rivers"), Deadline.after(10))
    with serving(service, TlsFiles(tmp_path / "tls.pem", tmp_path / "tls.key", tmp_path / "ca.pem")) as (_, port):
        call = call.replace("50051", str(port))
        assert "accessToken" in shell(call).stdout
        refused = shell(call.replace("-cert client.pem -key client.key", ""))
        assert refused.returncode != 0
        assert "accessToken" not in refused.stdout
        code = block(OPERATIONS, "python", "ca.pem").replace("50051", str(port))
        with contextlib.chdir(tmp_path):
            names: dict[str, Any] = {"Path": Path, "Trust": Trust, "grpc": grpc}
            exec(code, names)  # the listing of the page
        with names["trust"] as trust:
            assert trust.wait_until_ready(10)
