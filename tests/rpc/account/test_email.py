"""Addresses that are confirmed and changed, on each database."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import auth_service_pb2_grpc as rpc
from grpc import Channel

from tests.conftest import RecordedAudit, SettableClock
from tests.observed import OTHER_PASSWORD, Refusal, login, refusal, register, verify
from tests.rpc.account.calling import Account
from tests.rpc.account.mailbox import Mailbox, text_of, token_of

Stub = rpc.AuthServiceStub
OLD, NEW = "ada@example.com", "ada@example.net"
USES = 50


@pytest.fixture
def tokens(stub: Stub) -> auth_api.SessionTokens:
    """Return the tokens of a session of ada's."""
    register(stub, "ada", email=OLD)
    return login(stub, "ada")


@pytest.fixture
def ada(channel: Channel, tokens: auth_api.SessionTokens) -> Account:
    return Account(channel, tokens.access_token)


def confirm(anyone: Account, mailbox: Mailbox, name: str = "ada", address: str = OLD) -> None:
    anyone.call("RequestEmailVerification", user_name_or_email=name)
    assert anyone.call("VerifyEmail", token=mailbox.token(address)).ended_sessions == 0


def test_an_address_is_confirmed_by_the_token_of_a_mail_and_then_no_more_are_sent(
    ada: Account, anyone: Account, stub: Stub, tokens: auth_api.SessionTokens, mailbox: Mailbox, audit: RecordedAudit
) -> None:
    confirm(anyone, mailbox)
    assert verify(stub, tokens.access_token).user_name == "ada", "no session is ended"
    anyone.call("RequestEmailVerification", user_name_or_email=OLD)
    assert mailbox.new() == []
    assert audit.count("email_confirmed") == 1


def test_a_confirmed_address_is_taken_over_from_an_account_that_has_only_named_it(
    anyone: Account, stub: Stub, mailbox: Mailbox
) -> None:
    register(stub, "eve", email=OLD)
    register(stub, "ada", email=OLD, password=OTHER_PASSWORD)
    login(stub, OLD)
    confirm(anyone, mailbox, "ada")
    assert login(stub, OLD, OTHER_PASSWORD)
    assert refusal(login, stub, OLD).reason == "CREDENTIALS_INVALID"
    login(stub, "eve")


def test_an_address_that_somebody_has_confirmed_is_nobody_elses_and_its_owner_is_told(
    ada: Account, anyone: Account, stub: Stub, mailbox: Mailbox
) -> None:
    confirm(anyone, mailbox)
    register(stub, "eve", email=OLD)
    anyone.call("RequestEmailVerification", user_name_or_email="eve")
    (message,) = mailbox.new()
    assert (message["To"], message["Subject"]) == (OLD, "You have an account with authservice")
    assert "account ada already" in text_of(message)
    assert "token" not in text_of(message)


def test_p1_of_many_parallel_uses_one_confirms(ada: Account, anyone: Account, mailbox: Mailbox) -> None:
    ada.call("ChangeEmail", new_email=NEW)
    token = mailbox.token(NEW)

    def use(_: int) -> str | None:
        try:
            anyone.call("VerifyEmail", token=token)
        except grpc.RpcError as error:
            return Refusal(error).reason
        return None

    with ThreadPoolExecutor(USES) as threads:
        outcomes = list(threads.map(use, range(USES)))
    assert (outcomes.count(None), outcomes.count("ONE_TIME_TOKEN_INVALID")) == (1, USES - 1)


def test_c12_an_address_changes_when_the_new_one_is_confirmed_and_not_before(
    ada: Account,
    anyone: Account,
    stub: Stub,
    tokens: auth_api.SessionTokens,
    mailbox: Mailbox,
    audit: RecordedAudit,
) -> None:
    confirm(anyone, mailbox)
    ada.call("ChangeEmail", new_email=NEW.upper())
    told = {message["To"]: message for message in mailbox.new()}
    assert told.keys() == {OLD, NEW}
    assert "once the new address is confirmed" in text_of(told[OLD])
    login(stub, OLD)
    assert refusal(login, stub, NEW).reason == "CREDENTIALS_INVALID"
    token = token_of(told[NEW])
    assert anyone.call("VerifyEmail", token=token).ended_sessions == 2
    assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED"
    login(stub, NEW)
    assert refusal(login, stub, OLD).reason == "CREDENTIALS_INVALID"
    assert [(message["To"], message["Subject"]) for message in mailbox.new()] == [
        (OLD, "Your address for authservice was changed")
    ]
    assert (audit.count("email_change_asked"), audit.count("email_changed")) == (1, 1)


def test_an_address_that_is_somebody_elses_is_not_taken_and_the_answer_does_not_tell(
    ada: Account, anyone: Account, stub: Stub, mailbox: Mailbox
) -> None:
    register(stub, "bob", email="bob@example.com")
    confirm(anyone, mailbox, "bob", "bob@example.com")
    assert ada.call("ChangeEmail", new_email="bob@example.com") == ada.call("ChangeEmail", new_email=NEW)
    subjects = sorted((message["To"], message["Subject"]) for message in mailbox.new())
    assert ("bob@example.com", "You have an account with authservice") in subjects
    assert (NEW, "Confirm your new address for authservice") in subjects


def test_of_two_who_want_one_address_the_first_to_confirm_it_has_it(
    channel: Channel, ada: Account, anyone: Account, stub: Stub, mailbox: Mailbox
) -> None:
    register(stub, "bob")
    bob = Account(channel, login(stub, "bob").access_token)
    ada.call("ChangeEmail", new_email=NEW)
    hers = mailbox.token(NEW)
    bob.call("ChangeEmail", new_email=NEW)
    anyone.call("VerifyEmail", token=mailbox.token(NEW))
    assert refusal(anyone.call, "VerifyEmail", token=hers).reason == "ONE_TIME_TOKEN_INVALID"
    assert login(stub, NEW)


@pytest.mark.parametrize("first", ["reset", "change"])
def test_what_changes_first_ends_every_other_token_of_the_account(
    ada: Account, anyone: Account, mailbox: Mailbox, first: str
) -> None:
    ada.call("ChangeEmail", new_email=NEW)
    change = mailbox.token(NEW)
    anyone.call("RequestPasswordReset", user_name_or_email="ada")
    reset = mailbox.token(OLD)
    calls = [("VerifyEmail", {"token": change}), ("ResetPassword", {"token": reset, "new_password": OTHER_PASSWORD})]
    if first == "reset":
        calls.reverse()
    anyone.call(calls[0][0], **calls[0][1])
    assert refusal(anyone.call, calls[1][0], **calls[1][1]).reason == "ONE_TIME_TOKEN_INVALID"


def test_a_reset_confirms_the_address_that_it_was_sent_to(
    ada: Account, anyone: Account, stub: Stub, mailbox: Mailbox
) -> None:
    anyone.call("RequestPasswordReset", user_name_or_email="ada")
    anyone.call("ResetPassword", token=mailbox.token(), new_password=OTHER_PASSWORD)
    mailbox.new()
    anyone.call("RequestEmailVerification", user_name_or_email="ada")
    assert mailbox.new() == []


def test_an_address_is_changed_only_by_a_fresh_login(channel: Channel, stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada", email=OLD)
    clock.advance(minutes=-6)
    tokens = login(stub, "ada")
    clock.advance(minutes=6)
    ada = Account(channel, tokens.access_token)
    assert refusal(ada.call, "ChangeEmail", new_email=NEW).reason == "AUTHENTICATION_TOO_OLD"


@pytest.mark.parametrize("typed", ["", "nobody", "a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com"])
def test_what_is_no_address_is_named(ada: Account, typed: str) -> None:
    assert refusal(ada.call, "ChangeEmail", new_email=typed).violations.keys() == {"new_email"}


def test_p2_a_confirmation_is_over_after_an_hour(
    ada: Account, anyone: Account, mailbox: Mailbox, clock: SettableClock
) -> None:
    anyone.call("RequestEmailVerification", user_name_or_email="ada")
    token = mailbox.token()
    clock.advance(hours=1)
    assert refusal(anyone.call, "VerifyEmail", token=token).reason == "ONE_TIME_TOKEN_INVALID"
