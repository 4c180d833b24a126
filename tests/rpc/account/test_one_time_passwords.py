"""C12: a password that an operator has made is good for one login, in which its user replaces it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from grpc import Channel, RpcError, StatusCode

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.security.one_time_passwords import new_one_time_password
from authservice.usecases.admin.make_one_time_password import OneTimePassword
from tests.conftest import RecordedAudit, SettableClock
from tests.observed import OTHER_PASSWORD, PASSWORD, Refusal, login, refresh, refusal, register, verify

Stub = rpc.AuthServiceStub


@pytest.fixture
def made(stub: Stub, service: bootstrap.Service) -> OneTimePassword:
    """Return the one-time password of Ada."""
    register(stub, "ada", email="ada@example.com")
    return service.admin.make_one_time_password("ADA", Deadline.after(20))


def replace(stub: Stub, old: str, new: str = OTHER_PASSWORD) -> api.SessionTokens:
    return stub.Login(api.LoginRequest(user_name_or_email="ada", password=old, new_password=new)).tokens


def test_c12_it_opens_a_session_only_together_with_a_new_password(
    stub: Stub, made: OneTimePassword, audit: RecordedAudit
) -> None:
    required = refusal(login, stub, "ada", made.text)
    assert (required.code, required.reason) == (StatusCode.FAILED_PRECONDITION, "PASSWORD_CHANGE_REQUIRED")
    tokens = replace(stub, made.text)
    assert verify(stub, tokens.access_token).user_name == "ada"
    assert refresh(stub, tokens.refresh_token).session_id == tokens.session_id
    for over in (made.text, PASSWORD):
        assert refusal(login, stub, "ada", over).reason == "CREDENTIALS_INVALID"
        assert refusal(replace, stub, over).reason == "CREDENTIALS_INVALID"
    assert login(stub, "ada", OTHER_PASSWORD)
    events = ("one_time_password_made", "one_time_password_replaced", "login", "login_refused")
    assert [audit.count(event) for event in events] == [1, 1, 2, 4]


def test_c12_when_it_is_made_all_that_the_password_before_had_opened_is_over(
    stub: Stub, service: bootstrap.Service
) -> None:
    register(stub, "ada")
    sessions = [login(stub, "ada") for _ in range(3)]
    assert service.admin.make_one_time_password("ada", Deadline.after(20)).ended == 3
    for tokens in sessions:
        assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED"
        assert refusal(refresh, stub, tokens.refresh_token).reason == "SESSION_ENDED"
    assert refusal(login, stub, "ada").reason == "CREDENTIALS_INVALID"


def test_c12_an_expired_one_is_a_wrong_one(stub: Stub, made: OneTimePassword, clock: SettableClock) -> None:
    clock.now = made.expires_at
    wrong = refusal(replace, stub, PASSWORD)
    for call in (lambda: login(stub, "ada", made.text), lambda: replace(stub, made.text)):
        expired = refusal(call)
        assert (expired.code, expired.reason, expired.message) == (wrong.code, wrong.reason, wrong.message)
    clock.advance(microseconds=-1)
    assert replace(stub, made.text)


@pytest.mark.parametrize(
    ("new", "reason"),
    [("short", "TOO_SHORT"), ("passwordpassword", "GUESSABLE"), ("xa.ada@exampel.com", "LIKE_NAME"), ("", "UNCHANGED")],
)
def test_c4_the_new_one_is_judged_once_the_old_one_is_proved(
    stub: Stub, made: OneTimePassword, new: str, reason: str
) -> None:
    refused = refusal(replace, stub, made.text, new or made.text)
    assert refused.violation_reasons == {"new_password": reason}
    assert refusal(replace, stub, PASSWORD, new or PASSWORD).reason == "CREDENTIALS_INVALID", "nothing is told before"
    assert replace(stub, made.text)


def test_a_password_of_ones_own_is_not_replaced_at_login(stub: Stub) -> None:
    register(stub, "ada")
    assert refusal(replace, stub, PASSWORD).violations.keys() == {"new_password"}
    assert refusal(replace, stub, OTHER_PASSWORD).reason == "CREDENTIALS_INVALID"
    assert login(stub, "ada")


def test_c12_of_many_logins_with_it_at_once_one_counts(channel: Channel, stub: Stub, made: OneTimePassword) -> None:
    def attempt(number: int) -> str | None:
        while True:
            try:
                replace(stub, made.text, f"{OTHER_PASSWORD} {number}")
            except RpcError as error:
                reason = Refusal(error).reason
                if reason != "OVERLOADED":
                    return reason
            else:
                return None

    with ThreadPoolExecutor(20) as threads:
        reasons = list(threads.map(attempt, range(20)))
    assert reasons.count(None) == 1
    assert set(reasons) == {None, "CREDENTIALS_INVALID"}
    assert login(stub, "ada", f"{OTHER_PASSWORD} {reasons.index(None)}")


def test_s7_it_lets_nobody_in_who_is_disabled(stub: Stub, made: OneTimePassword, service: bootstrap.Service) -> None:
    service.admin.operate_users.disable("ada", Deadline.after(5))
    assert refusal(login, stub, "ada", made.text).reason == "CREDENTIALS_INVALID"
    assert refusal(replace, stub, made.text).reason == "CREDENTIALS_INVALID"


def test_a_newer_one_takes_the_place_of_an_older(stub: Stub, made: OneTimePassword, service: bootstrap.Service) -> None:
    newer = service.admin.make_one_time_password("ada", Deadline.after(20))
    assert refusal(replace, stub, made.text).reason == "CREDENTIALS_INVALID"
    assert replace(stub, newer.text)


def test_no_two_are_alike_and_none_can_be_misread() -> None:
    texts = {new_one_time_password() for _ in range(1000)}
    assert len(texts) == 1000
    assert {len(text) for text in texts} == {23}
    letters: set[Any] = set("".join(texts))
    assert letters.isdisjoint("10ilo")
    assert len(letters) == 32


def test_it_shows_in_no_repr(made: OneTimePassword) -> None:
    assert made.text not in repr(made)
