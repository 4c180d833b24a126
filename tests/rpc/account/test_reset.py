"""Forgotten passwords, on each database."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from authapi.v1 import account_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from grpc import Channel

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from tests.conftest import RecordedAudit, SettableClock
from tests.observed import OTHER_PASSWORD, PASSWORD, Refusal, login, refresh, refusal, register, verify
from tests.rpc.account.calling import Account
from tests.rpc.account.mailbox import Mailbox, text_of, token_of

Stub = rpc.AuthServiceStub
ADDRESS = "ada@example.com"
USES = 100
FLOOD = 40


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings by which nobody is refused because many hash at once, and mails have links."""
    return settings.model_copy(update={"hash_queue": 200, "mail_link_base": "https://accounts.example.com"})


@pytest.fixture(autouse=True)
def ada(stub: Stub) -> None:
    register(stub, "ada", email=ADDRESS)


def ask(anyone: Account, name: str = "ada") -> None:
    anyone.call("RequestPasswordReset", user_name_or_email=name)


def reset(anyone: Account, token: str, password: str = OTHER_PASSWORD) -> int:
    ended: int = anyone.call("ResetPassword", token=token, new_password=password).ended_sessions
    return ended


def is_refused(anyone: Account, token: str) -> bool:
    refused = refusal(reset, anyone, token)
    assert refused.code is grpc.StatusCode.UNAUTHENTICATED
    return refused.reason == "ONE_TIME_TOKEN_INVALID"


def refused_with(anyone: Account, token: str) -> str | None:
    try:
        reset(anyone, token)
    except grpc.RpcError as error:
        return Refusal(error).reason
    return None


def test_a_forgotten_password_is_replaced_by_the_token_of_a_mail(
    anyone: Account, stub: Stub, mailbox: Mailbox, audit: RecordedAudit
) -> None:
    ask(anyone)
    (message,) = mailbox.new()
    assert (message["To"], message["Subject"]) == (ADDRESS, "Choose a new password for authservice")
    token = text_of(message).split("token=")[1].split()[0]
    assert text_of(message).count(token) == 2, "link and code are one token"
    assert reset(anyone, token) == 0
    assert refusal(login, stub, "ada").reason == "CREDENTIALS_INVALID"
    login(stub, ADDRESS, OTHER_PASSWORD)
    assert [message["Subject"] for message in mailbox.new()] == ["Your password for authservice was changed"]
    assert audit.count("password_reset") == 1


def test_p5_a_reset_ends_every_session_and_opens_none(anyone: Account, stub: Stub, mailbox: Mailbox) -> None:
    sessions = [login(stub, "ada") for _ in range(3)]
    ask(anyone)
    answer = anyone.call("ResetPassword", token=mailbox.token(), new_password=OTHER_PASSWORD)
    assert answer == api.ResetPasswordResponse(ended_sessions=3)
    assert {refusal(verify, stub, each.access_token).reason for each in sessions} == {"SESSION_ENDED"}
    assert {refusal(refresh, stub, each.refresh_token).reason for each in sessions} == {"SESSION_ENDED"}


def test_p1_of_a_hundred_parallel_uses_of_one_token_one_sets_the_password(
    anyone: Account, stub: Stub, mailbox: Mailbox, audit: RecordedAudit
) -> None:
    ask(anyone)
    token = mailbox.token()
    passwords = [f"{OTHER_PASSWORD} {number}" for number in range(USES)]

    def use(password: str) -> str | None:
        try:
            reset(anyone, token, password)
        except grpc.RpcError as error:
            return Refusal(error).reason
        return password

    with ThreadPoolExecutor(USES) as threads:
        outcomes = list(threads.map(use, passwords))
    assert outcomes.count("ONE_TIME_TOKEN_INVALID") == USES - 1
    (winner,) = set(outcomes) - {"ONE_TIME_TOKEN_INVALID"}
    assert winner
    login(stub, "ada", winner)
    assert audit.count("password_reset") == 1


def test_p2_a_token_is_over_on_the_second_whoever_deletes_what_is_over(
    anyone: Account, mailbox: Mailbox, clock: SettableClock
) -> None:
    ask(anyone)
    token = mailbox.token()
    clock.advance(minutes=15)
    assert is_refused(anyone, token)
    clock.advance(microseconds=-1)
    reset(anyone, token)


def test_p3_the_newest_token_counts(anyone: Account, mailbox: Mailbox) -> None:
    ask(anyone)
    first = mailbox.token()
    ask(anyone, ADDRESS)
    second = mailbox.token()
    assert is_refused(anyone, first)
    reset(anyone, second)


@pytest.mark.parametrize("typed", ["ADA@EXAMPLE.COM", "Ada@Example.com", "ADA", "ａｄａ"])
def test_c11_p4_mail_goes_to_the_stored_address_however_the_account_is_spelled(
    anyone: Account, mailbox: Mailbox, typed: str
) -> None:
    ask(anyone, typed)
    assert [message["To"] for message in mailbox.new()] == [ADDRESS]


@pytest.mark.parametrize(
    "typed", ["ada@exampl\u0435.com", "\u0430da@example.com", "ada@example.com.evil.example", "a\u0301da@example.com"]
)
def test_p4_an_address_that_only_looks_like_the_stored_one_gets_nothing(
    anyone: Account, mailbox: Mailbox, typed: str
) -> None:
    ask(anyone, typed)
    assert mailbox.new() == []


def test_p4_an_address_that_another_account_has_claimed_gets_nothing_about_this_one(
    anyone: Account, stub: Stub, mailbox: Mailbox
) -> None:
    register(stub, "eve", email=ADDRESS)
    ask(anyone, "eve")
    assert mailbox.new() == []


@pytest.mark.parametrize("name", ["nobody", "nobody@example.com", "no name!", "off", "plain"])
def test_c10_who_has_no_account_or_no_address_is_answered_alike_and_sent_nothing(
    anyone: Account, stub: Stub, service: bootstrap.Service, mailbox: Mailbox, name: str
) -> None:
    register(stub, "off", email="off@example.com")
    register(stub, "plain")
    service.admin.operate_users.disable("off", Deadline.after(10))

    def answer(who: str) -> tuple[bytes, object]:
        request = api.RequestPasswordResetRequest(user_name_or_email=who)
        response, call = anyone.stub.RequestPasswordReset.with_call(request)
        return response.SerializeToString(), call.trailing_metadata()

    assert answer(name) == answer("ada")
    assert [message["To"] for message in mailbox.new()] == [ADDRESS]


def test_p6_a_flood_sends_five_mails_an_hour_and_is_always_answered_alike(
    anyone: Account, mailbox: Mailbox, clock: SettableClock
) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: ask(anyone, ["ada", ADDRESS, "ADA"][number % 3]), range(FLOOD)))
    messages = mailbox.new()
    assert len(messages) == 5
    clock.advance(minutes=14)
    ask(anyone)
    assert mailbox.new() == []
    outcomes = [refused_with(anyone, token_of(message)) for message in messages]
    assert sorted(outcomes, key=str) == [None, *["ONE_TIME_TOKEN_INVALID"] * 4], "the last one that was sent stays good"
    clock.advance(minutes=46)
    ask(anyone)
    assert ("Choose a new password for authservice") in [message["Subject"] for message in mailbox.new()]


def test_a_password_that_is_refused_spends_no_token(anyone: Account, mailbox: Mailbox) -> None:
    ask(anyone)
    token = mailbox.token()
    assert refusal(reset, anyone, token, "short").violations.keys() == {"new_password"}
    assert refusal(reset, anyone, token, ADDRESS * 2).violations.keys() == {"new_password"}
    reset(anyone, token)


def test_only_who_holds_a_good_token_is_told_about_a_password(anyone: Account) -> None:
    assert refusal(reset, anyone, "reset.x.y", "short").reason == "ONE_TIME_TOKEN_INVALID"


def test_a_token_of_a_user_who_was_disabled_since_is_worth_nothing(
    anyone: Account, service: bootstrap.Service, mailbox: Mailbox
) -> None:
    ask(anyone)
    service.admin.operate_users.disable("ada", Deadline.after(10))
    assert mailbox.new() == []
    service.admin.operate_users.enable("ada", Deadline.after(10))
    ask(anyone)
    token = mailbox.token()
    service.admin.operate_users.disable("ada", Deadline.after(10))
    assert is_refused(anyone, token)


def test_p8_a_token_in_any_other_form_sets_no_password(anyone: Account, stub: Stub, mailbox: Mailbox) -> None:
    ask(anyone)
    token = mailbox.token()
    purpose, id_part, secret = token.split(".")
    for forged in (
        "",
        id_part,
        f"{purpose}.{id_part}",
        f"{purpose}.{id_part}.",
        f"{purpose}.{id_part}.{'A' * 43}",
        f"verify_email.{id_part}.{secret}",
        f"invite.{id_part}.{secret}",
        f"{token}=",
        f" {token}",
        f"{token}\n",
        f"{token[:-1]}{'B' if token[-1] == 'A' else 'A'}",
        token.upper(),
        token * 100,
        token[:-1],
    ):
        assert is_refused(anyone, forged), forged
    login(stub, "ada", PASSWORD)
    reset(anyone, token)


@pytest.mark.parametrize("header", ["host", "x-forwarded-host", "forwarded", "x-forwarded-proto", "origin", "referer"])
def test_p9_no_metadata_leads_a_link_elsewhere(channel: Channel, mailbox: Mailbox, header: str) -> None:
    method = channel.unary_unary(
        "/authapi.v1.AccountService/RequestPasswordReset",
        request_serializer=api.RequestPasswordResetRequest.SerializeToString,
        response_deserializer=api.RequestPasswordResetResponse.FromString,
    )
    method(
        api.RequestPasswordResetRequest(user_name_or_email="ada"),
        metadata=((header, "host=evil.example"),),
        timeout=30,
    )
    (message,) = mailbox.new()
    assert "evil" not in message.as_string()
    assert "https://accounts.example.com/reset?token=" in text_of(message)
