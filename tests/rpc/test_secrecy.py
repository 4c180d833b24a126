"""Nothing that is secret appears where others can read it, and nothing unforeseen reaches a caller."""

import importlib
import io
import json
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pyotp
import pytest
import structlog
from authapi.v1 import account_service_pb2 as account_api
from authapi.v1 import account_service_pb2_grpc as account_rpc
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import auth_service_pb2_grpc as rpc
from authapi.v1 import trust_service_pb2 as trust_api
from authapi.v1 import trust_service_pb2_grpc as trust_rpc
from google.protobuf.descriptor import MethodDescriptor
from uuid6 import uuid7

from authservice import bootstrap, domain, logs, usecases
from authservice.config import Settings
from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.session import Opening
from authservice.logs import LogAudit
from authservice.usecases.auth.login import Credentials
from authservice.usecases.auth.logout import LogoutRequest
from authservice.usecases.auth.register import Registration
from tests.conftest import CHEAPEST, MASTER_KEY, SettableClock, serve_in_process
from tests.contract import SERVED, path_of, snake_case
from tests.faults.seeding import Seeder
from tests.observed import ObservedChannel, login, logout, refresh, refusal, register, verify
from tests.rpc.account.calling import Account, bearer
from tests.rpc.account.mailbox import Mailbox
from tests.rpc.canaries import BESIDE_REQUESTS, SECRET_FIELDS, UNARY, ObservedCalls, call_with_canaries
from tests.rpc.passkeys.people import Owner

PASSWORD = "password-canary plum engine 88 meadow"
OTHER = "other-canary granite harp 52 willow"
WRONG = "wrong-canary slate comet 31 harbour"
NEW = "new-canary birch trumpet 52 glacier"
ROLE = "bursar"
JWT_SECRET = "jwt-secret-canary-with-more-than-32-bytes"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings by which the holders of a role have to have a second factor."""
    return settings.model_copy(update={"require_second_factor": f"roles:{ROLE}"})


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


def with_second_factor(channel: grpc.Channel, service: bootstrap.Service, name: str) -> None:
    """Set an app up, and log in and step up with its codes."""
    auth = rpc.AuthServiceStub(channel)
    access_token = login(auth, name, PASSWORD).access_token
    account = Account(channel, access_token)
    auth.StepUp(auth_api.StepUpRequest(password=PASSWORD), metadata=bearer(access_token))
    app: Any = pyotp.parse_uri(account.call("EnrollTotp").enrollment.uri)
    code = app.at(service.parts.clock())  # The clock of a service under test may stand still.
    first, second, *_ = account.call("ConfirmTotp", code=code).recovery_codes
    asked = auth.Login(auth_api.LoginRequest(user_name_or_email=name, password=PASSWORD)).challenge
    request = auth_api.CompleteLoginRequest(challenge_token=asked.challenge_token, code=first)
    account.access_token = auth.CompleteLogin(request).tokens.access_token
    auth.StepUp(auth_api.StepUpRequest(code=second), metadata=bearer(account.access_token))
    account.call("RegenerateRecoveryCodes")
    assert len(account.call("ListFactors").factors) == 1
    wrong = auth_api.StepUpRequest(code="wrong-code-canary")
    assert "canary" not in str(refusal(auth.StepUp, wrong, metadata=bearer(account.access_token)).details)


def with_passkey(channel: grpc.Channel, name: str) -> None:
    """Register a passkey, and log in with it in each way."""
    auth = rpc.AuthServiceStub(channel)
    owner = Owner(channel, SettableClock(), name, tokens=login(auth, name, PASSWORD))
    owner.register_passkey()
    asked = auth.Login(auth_api.LoginRequest(user_name_or_email=name, password=PASSWORD)).challenge
    owner.meet(asked.challenge_token, owner.device.get(asked.passkey_options_json))
    owner.step_up(passkey=owner.signed())
    owner.log_in()


def enroll_at_login(auth: rpc.AuthServiceStub, service: bootstrap.Service, name: str) -> None:
    """Set an app up because the company asks for one."""
    asked = auth.Login(auth_api.LoginRequest(user_name_or_email=name, password=PASSWORD)).challenge
    app: Any = pyotp.parse_uri(asked.enrollment.uri)
    code = app.at(service.parts.clock())
    request = auth_api.CompleteLoginRequest(challenge_token=asked.challenge_token, code=code)
    assert len(auth.CompleteLogin(request).recovery_codes) == 10


def live_through_everything(channel: grpc.Channel, service: bootstrap.Service) -> ObservedCalls:
    """Make every kind of call, good and bad. Returns what was seen of them."""
    observed = ObservedCalls()
    channel = grpc.intercept_channel(channel, observed)
    stub = rpc.AuthServiceStub(channel)
    register(stub, "ada", PASSWORD, email="ada@example.com", idempotency_key="idempotency-canary")
    first = login(stub, "ada", PASSWORD)
    second = refresh(stub, first.refresh_token)
    verify(stub, second.access_token)
    register(stub, "kay", PASSWORD)
    with_second_factor(channel, service, "kay")
    register(stub, "pam", PASSWORD)
    with_passkey(channel, "pam")
    register(stub, "eva", PASSWORD)
    service.admin.operate_users.grant("eva", ROLE, Deadline.after(10))
    enroll_at_login(stub, service, "eva")
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
    Account(channel, second.access_token).call("ChangePassword", old_password=PASSWORD, new_password=NEW)
    account = account_rpc.AccountServiceStub(channel)
    account.EstimatePassword(account_api.EstimatePasswordRequest(password="estimated-canary plum"))
    register(stub, "bob", PASSWORD)
    made = service.admin.make_one_time_password("bob", Deadline.after(30))
    stub.Login(auth_api.LoginRequest(user_name_or_email="bob", password=made.text, new_password=NEW))
    for method in UNARY:
        canaries, said = call_with_canaries(channel, method)
        assert not [canary for canary in canaries if canary in said], f"{method.name} tells what it was sent"
    accounts = account_rpc.AccountServiceStub(channel)
    export = accounts.ExportAccount(account_api.ExportAccountRequest(), metadata=bearer(second.access_token))
    assert "ada@example.com" in "".join(part.json for part in export)
    use_mail(channel, Mailbox(service))
    second = login(stub, "ada", OTHER)
    logout(stub, second.access_token, refresh_token=second.refresh_token)
    trust = trust_rpc.TrustServiceStub(channel)
    trust.WatchRevocations(trust_api.WatchRevocationsRequest()).cancel()
    return observed


def use_mail(channel: grpc.Channel, mailbox: Mailbox) -> None:
    """Confirm ada's address and set her password, with the tokens of mails."""
    anyone = Account(channel, "")
    mailbox.service.admin.invite("grace@example.com", Deadline.after(10))
    token = mailbox.token("grace@example.com")
    register(rpc.AuthServiceStub(channel), "grace", PASSWORD, invitation_token=token)
    mailbox.new()
    anyone.call("RequestEmailVerification", user_name_or_email="ada")
    anyone.call("VerifyEmail", token=mailbox.token())
    anyone.call("RequestPasswordReset", user_name_or_email="ada")
    anyone.call("ResetPassword", token=mailbox.token(), new_password=OTHER)


def test_l1_m9_no_secret_reaches_the_log(logged_service: bootstrap.Service, log: io.StringIO) -> None:
    server, port = serve_in_process(logged_service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        observed = live_through_everything(ObservedChannel.around(channel), logged_service)
    server.stop(0)
    output = log.getvalue()
    assert '"audit": "login"' in output, "the log was written"
    for secret in (*observed.secrets, *BESIDE_REQUESTS, MASTER_KEY, "db-password-canary", "master-key-canary"):
        assert secret not in output
        # Nor a part that would be enough: the secret half of a refresh token, the signature of an access token.
        assert len(secret) < 60 or secret[-40:] not in output


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_c5_p7_m9_no_secret_is_stored_in_the_clear(
    channel: grpc.Channel, settings: Settings, service: bootstrap.Service
) -> None:
    observed = live_through_everything(channel, service)
    stored = b"".join(path.read_bytes() for path in Path(settings.data_dir).glob("authservice.db*"))
    assert b"hmac-sha256+$2b$" in stored
    for secret in (*observed.secrets, *BESIDE_REQUESTS):
        assert secret.encode() not in stored
        assert secret[-40:].encode() not in stored


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_l1_the_secrets_that_are_looked_for_are_all_that_the_contract_has(
    channel: grpc.Channel, service: bootstrap.Service
) -> None:
    observed = live_through_everything(channel, service)
    assert observed.methods == set(map(path_of, SERVED)), "what is never called here may log what it likes"
    assert observed.shown == SECRET_FIELDS, "a good call with each has to be made in `live_through_everything`"
    assert {PASSWORD, WRONG, "idempotency-canary", "password-canary", "access-token-canary"} <= observed.secrets
    assert len(observed.secrets) >= 12


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


def test_l1_a_value_that_is_secret_in_the_contract_shows_in_the_repr_of_no_other_object() -> None:
    names = {full_name.rpartition(".")[2] for full_name in SECRET_FIELDS}
    modules = [
        importlib.import_module(found.name)
        for package in (domain, usecases)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    kinds = {kind for module in modules for kind in vars(module).values() if is_dataclass(kind)}
    held = [(kind, field) for kind in kinds for field in fields(kind) if field.name in names and field.type is str]
    assert len(held) >= 6
    assert not [(kind, field.name) for kind, field in held if field.repr]


class Boom(Exception):
    """A fault that knows too much."""


class Broken:
    """A story or a part that fails, however it is asked."""

    def __call__(self, *_: object) -> Any:
        """Fail."""
        raise Boom("SELECT * FROM users -- mysql://root:dsn-canary@db")

    each = __call__
    published = property(__call__)


PARTS = {"get_signing_keys": "keys"}
"""What does the work of methods that have no story of their name."""


@pytest.mark.parametrize("method", UNARY, ids=lambda method: method.name)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_l2_an_unforeseen_fault_is_internal_with_an_id_and_its_cause_is_in_the_log_only(
    method: MethodDescriptor, logged_service: bootstrap.Service, log: io.StringIO
) -> None:
    area = method.containing_service.name.removesuffix("Service").lower()
    story = snake_case(method.name)
    seeds = Seeder(logged_service)
    (tokens,) = seeds.sessions(seeds.user("ada"), 1, Opening(auth_methods=("pwd", "mfa")))
    stories = replace(getattr(logged_service, area), **{PARTS.get(story, story): Broken()})
    server, port = serve_in_process(replace(logged_service, **{area: stories}))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = ObservedChannel.around(channel).unary_unary(path_of(method), response_deserializer=bytes)
        answer = refusal(call, b"", metadata=bearer(tokens.access_token))
    server.stop(0)
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "canary" not in answer.message + str(answer.details)
    request_id = re.search(r"[0-9a-f]{16}", answer.message)
    assert request_id
    lines = [line for line in log.getvalue().splitlines() if request_id[0] in line]
    assert len(lines) == 1
    record = json.loads(lines[0])
    assert "Boom" in record["exception"]
    assert record["method"] == path_of(method)


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
