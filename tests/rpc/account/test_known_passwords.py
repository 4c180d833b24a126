"""What somebody reaches who knows a password, or has a session by it, and what its owner keeps. On each database."""

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from tests.conftest import SettableClock
from tests.observed import OTHER_PASSWORD, PASSWORD, login, refresh, refusal, register, verify
from tests.rpc.account.calling import Account
from tests.rpc.account.mailbox import Mailbox
from tests.rpc.passkeys.conftest import an_owner
from tests.rpc.passkeys.people import Owner

NEW = "eve@example.net"


@pytest.fixture
def owner(channel: grpc.Channel, clock: SettableClock) -> Owner:
    return an_owner(channel, clock)


@pytest.fixture
def thief(owner: Owner, clock: SettableClock) -> Owner:
    """Return somebody who has logged in by ada's password, while it was enough."""
    thief = Owner(owner.channel, clock, "ada")
    thief.tokens = thief.ask().tokens
    return thief


@pytest.mark.parametrize("factor", ["app", "passkey"])
def test_m6_a_session_by_password_alone_changes_nothing_that_proves_a_user_with_a_second_factor(
    owner: Owner, thief: Owner, factor: str
) -> None:
    begun = thief.account.call("BeginPasskeyRegistration").ceremony
    if factor == "passkey":
        thief.enroll()
        owner.register_passkey()
    else:
        owner.set_up()
    thief.tokens = refresh(thief.stub, thief.tokens.refresh_token)
    made = thief.device.create(begun.options_json)
    heard = {
        refusal(thief.account.call, "BeginPasskeyRegistration").reason,
        refusal(thief.account.call, "ChangePassword", old_password=PASSWORD, new_password=OTHER_PASSWORD).reason,
        refusal(thief.account.call, "ChangeEmail", new_email=NEW).reason,
        refusal(thief.account.call, "RemoveTotp").reason,
        refusal(thief.account.call, "RegenerateRecoveryCodes").reason,
    }
    if factor == "passkey":
        heard |= {
            refusal(thief.account.call, "EnrollTotp").reason,
            refusal(thief.account.call, "ConfirmTotp", code=thief.code()).reason,
        }
    assert heard == {"MFA_REQUIRED"}
    assert refusal(thief.finish, begun.ceremony_token, made).reason == "CHALLENGE_OVER", "begun before there was one"
    assert len(owner.account.call("ListFactors").factors) == 1
    assert verify(thief.stub, thief.tokens.access_token).user_name == "ada", "it goes on with what it had"


def test_what_a_session_had_begun_to_set_up_is_gone_once_there_is_a_factor(owner: Owner, thief: Owner) -> None:
    thief.enroll()
    owner.register_passkey()
    owner.tokens = refresh(owner.stub, owner.tokens.refresh_token)
    assert refusal(owner.account.call, "ConfirmTotp", code=thief.code()).reason == "SECOND_FACTOR_MISSING"


def test_a_second_kind_of_factor_leaves_the_recovery_codes_as_they_are(owner: Owner) -> None:
    codes = list(owner.register_passkey().recovery_codes)
    owner.enroll()
    assert list(owner.account.call("ConfirmTotp", code=owner.code()).recovery_codes) == []
    assert owner.complete(owner.challenge(), codes[0]).tokens.access_token


def test_a_session_that_has_just_set_a_factor_up_may_set_up_another_without_a_refresh(owner: Owner) -> None:
    owner.register_passkey()
    owner.register_passkey("Key ring")
    assert len(owner.passkeys()) == 2


def test_without_factors_no_session_and_no_token_tells_of_any(owner: Owner) -> None:
    owner.set_up()
    owner.tokens = refresh(owner.stub, owner.tokens.refresh_token)
    owner.account.call("RemoveTotp")
    assert refusal(verify, owner.stub, owner.tokens.access_token).reason == "TOKEN_OUTDATED"
    owner.tokens = refresh(owner.stub, owner.tokens.refresh_token)
    assert "mfa" not in owner.is_proved_by()
    owner.step_up(password=PASSWORD)
    assert "mfa" not in owner.is_proved_by()


@pytest.mark.parametrize("when", ["before the mail is written", "after it"])
@pytest.mark.parametrize("way", ["logout", "new password", "second factor", "disabled"])
def test_a_new_address_that_a_session_has_asked_for_is_void_once_its_owner_has_acted(
    owner: Owner, thief: Owner, mailbox: Mailbox, service: bootstrap.Service, way: str, when: str
) -> None:
    thief.account.call("ChangeEmail", new_email=NEW)
    token = mailbox.token(NEW) if when == "after it" else None
    match way:
        case "logout":
            owner.account.call("RevokeSession", session_id=thief.tokens.session_id)
        case "new password":
            owner.account.call("ChangePassword", old_password=PASSWORD, new_password=OTHER_PASSWORD)
        case "second factor":
            owner.set_up()
        case "disabled":
            service.admin.operate_users.disable("ada", Deadline.after(20))
            service.admin.operate_users.enable("ada", Deadline.after(20))
    if token:
        assert refusal(Account(owner.channel).call, "VerifyEmail", token=token).reason == "ONE_TIME_TOKEN_INVALID"
    else:
        assert [message["To"] for message in mailbox.new() if message["To"] == NEW] == []


def test_a_new_address_is_confirmed_while_the_session_that_asked_lives(owner: Owner, mailbox: Mailbox) -> None:
    owner.account.call("ChangeEmail", new_email=NEW)
    Account(owner.channel).call("VerifyEmail", token=mailbox.token(NEW))
    login(owner.stub, NEW)


def test_m4_a_new_password_gives_nobody_a_hundred_more_codes(owner: Owner, channel: grpc.Channel) -> None:
    owner.set_up()
    owner.tokens = refresh(owner.stub, owner.tokens.refresh_token)
    challenge = owner.challenge()
    heard = [refusal(owner.complete, challenge, "000000").reason for _ in range(5)]
    assert heard == ["CODE_INVALID"] * 5
    owner.account.call("ChangePassword", old_password=PASSWORD, new_password=OTHER_PASSWORD)
    waiting = owner.ask(OTHER_PASSWORD).challenge
    assert refusal(owner.complete, waiting, "000000").reason == "THROTTLED"


def test_an_operator_takes_the_counts_of_codes_away_too(owner: Owner, service: bootstrap.Service) -> None:
    owner.set_up()
    challenge = owner.challenge()
    for _ in range(5):
        refusal(owner.complete, challenge, "000000")
    service.admin.operate_users.unthrottle("ada", Deadline.after(20))
    assert owner.complete(owner.challenge(), owner.code()).tokens.access_token


def test_c10_an_old_address_is_told_of_a_change_whoever_has_the_new_one(
    owner: Owner, channel: grpc.Channel, clock: SettableClock, mailbox: Mailbox
) -> None:
    an_owner(channel, clock, "bob")
    anyone = Account(channel)
    anyone.call("RequestEmailVerification", user_name_or_email="bob")
    anyone.call("VerifyEmail", token=mailbox.token("bob@example.com"))
    owner.account.call("ChangeEmail", new_email="bob@example.com")
    taken = [message["Subject"] for message in mailbox.new() if message["To"] == "ada@example.com"]
    owner.account.call("ChangeEmail", new_email=NEW)
    free = [message["Subject"] for message in mailbox.new() if message["To"] == "ada@example.com"]
    assert taken == free
    assert len(taken) == 1


def test_p6_nobody_spends_the_mails_that_another_kind_needs(owner: Owner, mailbox: Mailbox) -> None:
    anyone = Account(owner.channel)
    for _ in range(10):
        anyone.call("RequestEmailVerification", user_name_or_email="ada")
    assert len(mailbox.new()) == 5
    anyone.call("RequestPasswordReset", user_name_or_email="ada")
    assert anyone.call("ResetPassword", token=mailbox.token(), new_password=OTHER_PASSWORD).ended_sessions == 1


def test_p6_an_owner_who_asks_has_a_good_token_whatever_strangers_have_asked_for(
    owner: Owner, mailbox: Mailbox, clock: SettableClock
) -> None:
    anyone = Account(owner.channel)
    for _ in range(10):
        anyone.call("RequestPasswordReset", user_name_or_email="ada")
    assert len(mailbox.new()) == 5
    clock.advance(minutes=16)
    anyone.call("RequestPasswordReset", user_name_or_email="ada")
    assert anyone.call("ResetPassword", token=mailbox.token(), new_password=OTHER_PASSWORD)


def test_p6_one_user_sends_five_strangers_a_mail_in_an_hour_and_no_more(owner: Owner, mailbox: Mailbox) -> None:
    for number in range(8):
        owner.account.call("ChangeEmail", new_email=f"stranger{number}@example.net")
    strangers = [message["To"] for message in mailbox.new() if message["To"].startswith("stranger")]
    assert len(strangers) == 5


def test_unconfirmed_addresses_are_told_apart_by_their_owners_alone(
    owner: Owner, mailbox: Mailbox, stub: rpc.AuthServiceStub
) -> None:
    assert not owner.account.call("GetAccount").account.email_confirmed
    anyone = Account(owner.channel)
    anyone.call("RequestEmailVerification", user_name_or_email="ada")
    anyone.call("VerifyEmail", token=mailbox.token())
    assert owner.account.call("GetAccount").account.email_confirmed
    register(stub, "eve", email="ada@example.com")
    eve = Account(owner.channel, login(stub, "eve").access_token)
    assert not eve.call("GetAccount").account.email_confirmed
