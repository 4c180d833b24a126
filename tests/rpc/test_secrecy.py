"""Nothing that is secret appears where others can read it, and nothing unforeseen reaches a caller."""

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from uuid6 import uuid7

from authservice import bootstrap, logs
from authservice.config import Settings
from authservice.domain import events
from authservice.logs import LogAudit
from authservice.usecases.auth.login import Credentials
from authservice.usecases.auth.logout import LogoutRequest
from authservice.usecases.auth.register import Registration
from tests.conftest import CHEAPEST, MASTER_KEY, serve_in_process, with_auth
from tests.observed import ObservedChannel, login, logout, refresh, refusal, register, verify

PASSWORD = "password-canary plum engine 88 meadow"
WRONG = "wrong-canary slate comet 31 harbour"
JWT_SECRET = "jwt-secret-canary-with-more-than-32-bytes"


@pytest.fixture
def log() -> io.StringIO:
    """Return what the log is written to."""
    return io.StringIO()


@pytest.fixture
def logged_service(settings: Settings, log: io.StringIO) -> Iterator[bootstrap.Service]:
    """Yield a service that writes its real log, at the most talkative level."""
    before = structlog.get_config()
    logs.configure("debug", "json", log)
    service = bootstrap.assemble(settings, cores=2, hash_cost=CHEAPEST)
    yield service
    service.close()
    structlog.configure(**before)


class ObservedCalls(grpc.UnaryUnaryClientInterceptor):
    """Notes which methods are called."""

    def __init__(self) -> None:
        self.methods: set[str] = set()

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Note one call."""
        self.methods.add(details.method.rpartition("/")[2])
        return continuation(details, request)


METHODS = set(api.DESCRIPTOR.services_by_name["AuthService"].methods_by_name)


def live_through_everything(stub: rpc.AuthServiceStub) -> list[str]:
    """Make every kind of call, good and bad, and return the secrets that were used."""
    register(stub, "ada", PASSWORD, email="ada@example.com", idempotency_key="idempotency-canary")
    first = login(stub, "ada", PASSWORD)
    second = refresh(stub, first.refresh_token)
    verify(stub, second.access_token)
    for bad in (
        lambda: login(stub, "ada", WRONG),
        lambda: login(stub, PASSWORD, WRONG),  # A password typed in the wrong field.
        lambda: register(stub, "bob", "bobcanary" * 3),
        lambda: register(stub, PASSWORD, PASSWORD),
        lambda: verify(stub, second.access_token[:-2]),
        lambda: refresh(stub, second.refresh_token[:-2]),
        lambda: logout(stub, second.access_token, session_id="not-an-id"),
    ):
        text = refusal(bad)
        assert not any(secret in text.message + str(text.details) for secret in (PASSWORD, WRONG, second.access_token))
    logout(stub, second.access_token)
    return [
        PASSWORD,
        WRONG,
        "bobcanary" * 3,
        "idempotency-canary",
        *(token for each in (first, second) for token in (each.access_token, each.refresh_token)),
    ]


def test_l1_no_secret_reaches_the_log(logged_service: bootstrap.Service, log: io.StringIO) -> None:
    server, port = serve_in_process(logged_service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        observed = ObservedCalls()
        stub = rpc.AuthServiceStub(grpc.intercept_channel(ObservedChannel.around(channel), observed))
        secrets = live_through_everything(stub)
    server.stop(0)
    assert observed.methods == METHODS, "a method that is never called here may log what it likes"
    output = log.getvalue()
    assert '"audit": "login"' in output, "the log was written"
    for secret in (*secrets, MASTER_KEY, "db-password-canary", "master-key-canary"):
        assert secret not in output
        # Nor a part that would be enough: the secret half of a refresh token, the signature of an access token.
        assert len(secret) < 60 or secret[-40:] not in output


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_c5_no_secret_is_stored_in_the_clear(stub: rpc.AuthServiceStub, settings: Settings) -> None:
    secrets = live_through_everything(stub)
    stored = b"".join(path.read_bytes() for path in Path(settings.data_dir).glob("authservice.db*"))
    assert b"hmac-sha256+$2b$" in stored
    for secret in secrets:
        assert secret.encode() not in stored
        assert secret[-40:].encode() not in stored


def test_l1_no_secret_shows_in_a_repr(settings: Settings, service: bootstrap.Service) -> None:
    shown = [
        repr(settings),
        str(settings),
        repr(Registration("ada", PASSWORD)),
        repr(Credentials("ada", PASSWORD)),
        repr(LogoutRequest(access_token=PASSWORD, refresh_token=PASSWORD)),
        repr(service.auth.login.passwords),
        repr(service.parts.fingerprints),
        repr(service.auth.refresh.refresh_tokens),
        repr(service.auth.refresh.refresh_tokens.first(uuid7())),
        repr(service.trust.rotate_keys.forge),
        repr(service),
        repr(Settings(jwt_secret=JWT_SECRET)),  # type: ignore[call-arg,arg-type]
    ]
    text = "".join(shown)
    for secret in (PASSWORD, MASTER_KEY, "canary", "rt1.", JWT_SECRET):
        assert secret not in text.replace(str(settings.data_dir), "")
    assert not re.search(r"\\x[0-9a-f]{2}.*\\x[0-9a-f]{2}", text), "raw key bytes"


class Boom(Exception):
    """A fault that knows too much."""


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_l2_an_unforeseen_fault_is_internal_with_an_id_and_its_cause_is_in_the_log_only(
    method: str, logged_service: bootstrap.Service, log: io.StringIO
) -> None:
    def explode(*_: object) -> None:
        raise Boom("SELECT * FROM users -- mysql://root:dsn-canary@db")

    explode.each = explode  # type: ignore[attr-defined]  # For calls that are answered together.

    broken = with_auth(logged_service, **{method.lower(): explode})
    server, port = serve_in_process(broken)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = getattr(rpc.AuthServiceStub(ObservedChannel.around(channel)), method)
        answer = refusal(call, getattr(api, f"{method}Request")())
    server.stop(0)
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "canary" not in answer.message + str(answer.details)
    request_id = re.search(r"[0-9a-f]{16}", answer.message)
    assert request_id
    lines = [line for line in log.getvalue().splitlines() if request_id[0] in line]
    assert len(lines) == 1
    record = json.loads(lines[0])
    assert "Boom" in record["exception"]
    assert record["method"] == f"/authapi.v1.AuthService/{method}"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_l3_one_event_is_one_line_whatever_a_caller_sends(logged_service: bootstrap.Service, log: io.StringIO) -> None:
    log.truncate(0)
    log.seek(0)
    hostile = ["a\nb", "a\r\nb", "\x1b[2J", '","level":"error', "\u2028", "\x00", "\\", "\ud800"]
    for text in hostile:
        LogAudit().record(events.Login(user_id=uuid7(), session_id=uuid7(), client_label=text))
    lines = log.getvalue().splitlines()
    assert len(lines) == len(hostile)
    assert [json.loads(line)["client_label"] for line in lines] == hostile
    assert all(line.isascii() for line in lines)
