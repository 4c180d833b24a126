"""Each method of the servicer decodes, calls its use case once, and encodes: nothing is lost, nothing is added."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import grpc
import grpc_testing
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import second_factor_pb2 as second_factor
from authapi.v1 import trust_service_pb2 as trust
from google.protobuf.message import Message
from grpc_testing._server import _servicer_context

from authservice.domain.challenge import IssuedChallenge, Method
from authservice.domain.deadline import Deadline
from authservice.domain.errors import InvalidInput, TokenInvalid
from authservice.domain.passkey import Ceremony
from authservice.domain.revocation import Revocation
from authservice.domain.second_factor import TotpEnrollment
from authservice.domain.session import Scope
from authservice.domain.tokens import Identity, SessionTokens
from authservice.domain.user import User, UserName
from authservice.transport.caller import bearer_token
from authservice.transport.messages.times import duration, timestamp
from authservice.transport.messages.trust import revocation
from authservice.transport.networks import Networks
from authservice.transport.servicers.auth import SERVICE, AuthServicer
from authservice.usecases.auth import AuthStories
from authservice.usecases.auth.complete_login import Answer, CompletedLogin
from authservice.usecases.auth.login import Credentials
from authservice.usecases.auth.login_with_passkey import PasskeyLogin
from authservice.usecases.auth.logout import LogoutRequest
from authservice.usecases.auth.register import Registration
from tests.contract import snake_case

PEER = "ipv4:192.0.2.7:50000"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
USER_ID = UUID("0191d5a5-0000-7000-8000-000000000001")
SESSION_ID = UUID("0191d5a5-0000-7000-8000-000000000002")
USER = User(USER_ID, UserName("Ada", "ada"), "ada@example.com", "hash-canary", NOW - timedelta(days=1))
TOKENS = SessionTokens(
    session_id=SESSION_ID,
    user_id=USER_ID,
    access_token="the.access.token",
    access_token_end=NOW + timedelta(minutes=15),
    refresh_token="rt1.token",
    refresh_token_end=NOW + timedelta(minutes=30),
    session_end=NOW + timedelta(hours=12),
)
IDENTITY = Identity(
    user_id=USER_ID,
    user_name="Ada",
    session_id=SESSION_ID,
    roles=("auditor", "reader"),
    authenticated_at=NOW.replace(microsecond=0),
    auth_methods=("pwd",),
    expires_at=NOW.replace(microsecond=0) + timedelta(minutes=15),
    generation=0,
)


@dataclass
class UseCase:
    """Answers every call alike and keeps what it was called with."""

    answer: Any
    calls: list[tuple[Any, Deadline]] = field(default_factory=list)

    def __call__(self, *given: Any) -> Any:
        *request, deadline = given
        self.calls.append((request[0] if request else None, deadline))
        return self.answer

    @property
    def request(self) -> Any:
        """The request of the only call."""
        (call,) = self.calls
        return call[0]

    @property
    def seconds_left(self) -> float:
        """What the only call's deadline left."""
        (call,) = self.calls
        return call[1].remaining()


@dataclass
class Desk:
    """Stands in for the stories of a servicer, which is called as grpc would call it."""

    register: UseCase = field(default_factory=lambda: UseCase(USER))
    login: UseCase = field(default_factory=lambda: UseCase(TOKENS))
    refresh: UseCase = field(default_factory=lambda: UseCase(TOKENS))
    logout: UseCase = field(default_factory=lambda: UseCase(3))
    verify: UseCase = field(default_factory=lambda: UseCase(IDENTITY))
    begin_passkey_login: UseCase = field(default_factory=lambda: UseCase(Ceremony("pk1.token", "{}", NOW)))
    login_with_passkey: UseCase = field(default_factory=lambda: UseCase(TOKENS))
    complete_login: UseCase = field(default_factory=lambda: UseCase(CompletedLogin(TOKENS, ("7k3mq-x0v1d",))))

    def servicer(self) -> AuthServicer:
        return AuthServicer(cast("AuthStories", self), clock=lambda: NOW, default_deadline=7.0, networks=Networks())

    def call(self, method: str, request: Message, *metadata: tuple[str, str], timeout: float | None = 5.0) -> Any:
        """Return the answer of one call."""
        service = api.DESCRIPTOR.services_by_name["AuthService"]
        server = grpc_testing.server_from_dictionary({service: self.servicer()}, grpc_testing.strict_real_time())
        call = server.invoke_unary_unary(service.methods_by_name[method], metadata, request, timeout)
        answer, _, code, details = call.termination()
        assert code is grpc.StatusCode.OK, details
        return answer


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    # grpc_testing's has none, and grpc's always one.
    monkeypatch.setattr(_servicer_context.ServicerContext, "peer", lambda _: PEER)
    desk = Desk()
    yield desk
    used = [case for case in vars(desk).values() if case.calls]
    assert len(used) <= 1, "one use case per call"


def test_register_hands_over_every_field_and_answers_with_the_account(desk: Desk) -> None:
    request = api.RegisterRequest(user_name="Ada", password=" pass\0word ", email="A@b.c", idempotency_key="key")
    answer = desk.call("Register", request)
    assert desk.register.request == Registration("Ada", " pass\0word ", "A@b.c", "key", "192.0.2.7")
    assert answer == api.RegisterResponse(
        user_id=str(USER_ID), user_name="Ada", create_time=timestamp(NOW - timedelta(days=1))
    )


def test_login_hands_over_the_credentials_and_answers_with_tokens_and_time(desk: Desk) -> None:
    request = api.LoginRequest(user_name_or_email="Ada", password=" pass\0word ", client_label="Firefox")
    answer = desk.call("Login", request)
    assert desk.login.request == Credentials("Ada", " pass\0word ", "Firefox", network="192.0.2.7")
    assert answer.user_id == str(USER_ID)
    assert answer.server_time == timestamp(NOW)
    assert_are_the_tokens(answer.tokens)


def test_login_answers_with_what_is_asked_for_first_and_with_nothing_that_a_session_would_have(desk: Desk) -> None:
    enrollment = TotpEnrollment("secret", "otpauth://totp/x", b"png", b"svg")
    issued = IssuedChallenge("ch1.token", (Method.TOTP, Method.ENROLL_TOTP), NOW, enrollment)
    desk.login = UseCase(issued)
    answer = desk.call("Login", api.LoginRequest(user_name_or_email="Ada", password="pass"))
    shown = second_factor.TotpEnrollment(secret="secret", uri="otpauth://totp/x", qr_png=b"png", qr_svg=b"svg")
    assert answer == api.LoginResponse(
        challenge=second_factor.Challenge(
            challenge_token="ch1.token",
            methods=[second_factor.CHALLENGE_METHOD_TOTP, second_factor.CHALLENGE_METHOD_ENROLL_TOTP],
            expire_time=timestamp(NOW),
            enrollment=shown,
        ),
        server_time=timestamp(NOW),
    )


def test_complete_login_hands_over_token_and_code_and_answers_with_tokens_codes_and_time(desk: Desk) -> None:
    answer = desk.call("CompleteLogin", api.CompleteLoginRequest(challenge_token="ch1.token", code=" 123 456 "))
    assert desk.complete_login.request == Answer("ch1.token", " 123 456 ", "192.0.2.7")
    assert (answer.user_id, answer.server_time) == (str(USER_ID), timestamp(NOW))
    assert list(answer.recovery_codes) == ["7k3mq-x0v1d"]
    assert_are_the_tokens(answer.tokens)


def test_begin_passkey_login_answers_with_what_a_browser_is_asked(desk: Desk) -> None:
    answer = desk.call("BeginPasskeyLogin", api.BeginPasskeyLoginRequest())
    assert answer.ceremony == second_factor.PasskeyCeremony(
        ceremony_token="pk1.token", options_json="{}", expire_time=timestamp(NOW)
    )


def test_login_with_passkey_hands_over_the_answer_and_answers_with_tokens_and_time(desk: Desk) -> None:
    proof = api.PasskeyProof(ceremony_token="pk1.token", credential_json="{}")
    answer = desk.call(
        "LoginWithPasskey", api.LoginWithPasskeyRequest(passkey=proof, client_label="cli", remember=True)
    )
    assert desk.login_with_passkey.request == PasskeyLogin("pk1.token", "{}", "cli", True, "192.0.2.7")
    assert (answer.user_id, answer.server_time) == (str(USER_ID), timestamp(NOW))
    assert_are_the_tokens(answer.tokens)


def test_refresh_hands_over_the_token_and_answers_with_tokens_and_time(desk: Desk) -> None:
    answer = desk.call("Refresh", api.RefreshRequest(refresh_token="rt1.old"))
    assert desk.refresh.request == "rt1.old"
    assert answer.server_time == timestamp(NOW)
    assert_are_the_tokens(answer.tokens)


def assert_are_the_tokens(tokens: api.SessionTokens) -> None:
    assert tokens == api.SessionTokens(
        session_id=str(SESSION_ID),
        access_token="the.access.token",
        access_token_expire_time=timestamp(TOKENS.access_token_end),
        refresh_token="rt1.token",
        refresh_token_expire_time=timestamp(TOKENS.refresh_token_end),
        session_expire_time=timestamp(TOKENS.session_end),
    )


def test_verify_hands_over_the_token_and_answers_with_the_identity_and_time(desk: Desk) -> None:
    answer = desk.call("Verify", api.VerifyRequest(access_token="a.b.c"))
    assert desk.verify.request == "a.b.c"
    assert answer.server_time == timestamp(NOW)
    assert answer.identity == api.Identity(
        user_id=str(USER_ID),
        user_name="Ada",
        session_id=str(SESSION_ID),
        roles=["auditor", "reader"],
        auth_time=timestamp(IDENTITY.authenticated_at),
        auth_methods=["pwd"],
        expire_time=timestamp(IDENTITY.expires_at),
    )


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (api.LOGOUT_SCOPE_UNSPECIFIED, None),
        (api.LOGOUT_SCOPE_THIS, Scope.THIS),
        (api.LOGOUT_SCOPE_OTHERS, Scope.OTHERS),
        (api.LOGOUT_SCOPE_ALL, Scope.ALL),
    ],
)
def test_logout_hands_over_what_is_to_end_and_answers_with_the_count(
    desk: Desk, sent: api.LogoutScope.ValueType, meant: Scope | None
) -> None:
    request = api.LogoutRequest(scope=sent, session_id="id", refresh_token="rt1.token")
    answer = desk.call("Logout", request, ("authorization", "Bearer a.b.c"), ("other", "entry"))
    assert desk.logout.request == LogoutRequest("a.b.c", "rt1.token", meant, "id")
    assert answer == api.LogoutResponse(ended_sessions=3)


def test_logout_without_an_access_token_leaves_the_proof_to_the_request(desk: Desk) -> None:
    desk.call("Logout", api.LogoutRequest(refresh_token="rt1.token"))
    assert desk.logout.request == LogoutRequest("", "rt1.token", None, "")


def test_logout_knows_every_scope_of_the_contract() -> None:
    for number in api.LogoutScope.values():
        desk = Desk()
        desk.call("Logout", api.LogoutRequest(scope=number))
        assert len(desk.logout.calls) == 1


def test_v6_a_scope_of_a_later_contract_is_refused_and_ends_nothing() -> None:
    desk = Desk()
    request = api.LogoutRequest()
    request.MergeFromString(b"\x08\x63")  # Scope 99, as a newer client may send it.
    with pytest.raises(InvalidInput) as refused:
        desk.servicer().Logout(request, cast("grpc.ServicerContext", SimpleNamespace(invocation_metadata=tuple)))
    assert [violation.field for violation in refused.value.violations] == ["scope"]
    assert desk.logout.calls == []


REQUESTS: dict[str, Message] = {
    "Register": api.RegisterRequest(),
    "Login": api.LoginRequest(),
    "CompleteLogin": api.CompleteLoginRequest(),
    "BeginPasskeyLogin": api.BeginPasskeyLoginRequest(),
    "LoginWithPasskey": api.LoginWithPasskeyRequest(),
    "Refresh": api.RefreshRequest(),
    "Logout": api.LogoutRequest(),
    "Verify": api.VerifyRequest(),
}


def test_every_method_of_the_contract_is_served_here() -> None:
    service = api.DESCRIPTOR.services_by_name["AuthService"]
    assert service.full_name == SERVICE
    # What needs the guard before it is called through one, in rpc/second_factor.
    assert set(service.methods_by_name) - {"StepUp"} == set(REQUESTS)
    assert set(REQUESTS) <= set(vars(AuthServicer))


@pytest.mark.parametrize("method", REQUESTS)
def test_an_empty_request_is_left_to_the_use_case_to_judge(desk: Desk, method: str) -> None:
    desk.call(method, REQUESTS[method])
    assert len(getattr(desk, snake_case(method)).calls) == 1


@pytest.mark.parametrize("method", REQUESTS)
def test_the_callers_deadline_reaches_the_use_case(desk: Desk, method: str) -> None:
    desk.call(method, REQUESTS[method], timeout=60.0)
    assert 30.0 < getattr(desk, snake_case(method)).seconds_left <= 60.0


@pytest.mark.parametrize("method", REQUESTS)
@pytest.mark.parametrize("timeout", [None, 4e8])
def test_o3_a_call_without_a_deadline_gets_the_servers(desk: Desk, method: str, timeout: float | None) -> None:
    desk.call(method, REQUESTS[method], timeout=timeout)
    assert 0.0 < getattr(desk, snake_case(method)).seconds_left <= 7.0


@pytest.mark.parametrize("method", REQUESTS)
def test_o3_no_call_is_given_more_than_five_minutes(desk: Desk, method: str) -> None:
    desk.call(method, REQUESTS[method], timeout=100_000.0)
    assert 7.0 < getattr(desk, snake_case(method)).seconds_left <= 300.0


@pytest.mark.parametrize("value", ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c"])
def test_a_bearer_token_is_read_whatever_the_case_of_its_scheme(value: str) -> None:
    assert bearer_token([("x", "y"), ("authorization", value)]) == "a.b.c"
    assert bearer_token([("x", "y")]) == ""


@pytest.mark.parametrize(
    "values",
    [["Basic a"], ["Bearer", "Bearer a"], ["a.b.c"], ["Bearer a", "Bearer a"], ["Bearer a", "x"], [b"\xff"]],
)
def test_a8_an_authorization_that_is_not_one_bearer_token_is_refused(values: list[str | bytes]) -> None:
    with pytest.raises(TokenInvalid):
        bearer_token([("authorization", value) for value in values])


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2038, 1, 19, 3, 14, 8, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
    ],
)
def test_w3_a_moment_crosses_the_wire_to_the_microsecond(moment: datetime) -> None:
    assert timestamp(moment).ToDatetime(UTC) == moment


@pytest.mark.parametrize("seconds", [0.0, 0.000001, 1.5, 59.999999, 1_000_000.25, 99_999_999.999999])
def test_w3_a_length_of_time_crosses_the_wire_to_the_microsecond(seconds: float) -> None:
    assert duration(seconds).ToTimedelta() == timedelta(seconds=seconds)


def test_a_rule_says_whose_tokens_are_over_and_until_when_it_matters() -> None:
    end = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    until = timestamp(datetime(2026, 1, 2, 3, 6, tzinfo=UTC))
    session = trust.Revocation(seq=7, session_id=str(SESSION_ID), expire_time=until)
    assert revocation(Revocation(7, SESSION_ID, 0, end)) == session
    outdated = trust.OutdatedTokens(user_id=str(USER_ID), min_generation=3)
    user = trust.Revocation(seq=8, outdated_tokens=outdated, expire_time=until)
    assert revocation(Revocation(8, USER_ID, 3, end)) == user


def test_a_rule_whose_last_token_ends_on_the_minute_is_kept_to_the_next_and_no_longer() -> None:
    end = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert Revocation(1, SESSION_ID, 0, end).expires_at == end + timedelta(seconds=60)
    late = timedelta(microseconds=1)
    assert Revocation(1, SESSION_ID, 0, end + late).expires_at == end + timedelta(seconds=120)
