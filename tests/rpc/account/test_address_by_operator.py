"""Addresses that an operator sets, on each database."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.usecases.admin.invite import AlreadyThere
from tests.conftest import RecordedAudit
from tests.observed import OTHER_PASSWORD, login, refresh, refusal, register
from tests.rpc.account.calling import Account
from tests.rpc.account.mailbox import Mailbox, text_of, token_of

Stub = rpc.AuthServiceStub
OLD, NEW = "ada@example.com", "ada@example.net"
OPERATORS = 20


def set_email(service: bootstrap.Service, name: str, address: str) -> int | None:
    return service.admin.set_email(name, address, Deadline.after(30))


def test_the_new_address_counts_at_once_is_confirmed_by_mail_and_the_old_one_is_told(
    service: bootstrap.Service, stub: Stub, anyone: Account, mailbox: Mailbox, audit: RecordedAudit
) -> None:
    register(stub, "ada", email=OLD)
    tokens = login(stub, "ada")
    assert set_email(service, "ADA", NEW) == 1
    assert refusal(refresh, stub, tokens.refresh_token).reason == "SESSION_ENDED"
    assert refusal(login, stub, OLD).reason == "CREDENTIALS_INVALID"
    login(stub, NEW)
    told, asked = sorted(mailbox.new(), key=lambda message: str(message["To"]))
    assert (told["To"], asked["To"]) == (OLD, NEW)
    assert "has another address since" in text_of(told)
    anyone.call("VerifyEmail", token=token_of(asked))
    assert audit.count("email_confirmed") == 1
    assert set_email(service, "ada", NEW) is None, "it has it already"
    assert audit.count("email_set_by_operator") == 1


def test_a_password_is_reset_by_the_new_address_and_no_more_by_a_token_that_went_to_the_old_one(
    service: bootstrap.Service, stub: Stub, anyone: Account, mailbox: Mailbox
) -> None:
    register(stub, "ada", email=OLD)
    anyone.call("RequestPasswordReset", user_name_or_email="ada")
    before = mailbox.token(OLD)
    set_email(service, "ada", NEW)
    mailbox.new()
    dead = refusal(anyone.call, "ResetPassword", token=before, new_password=OTHER_PASSWORD)
    assert dead.reason == "ONE_TIME_TOKEN_INVALID"
    anyone.call("RequestPasswordReset", user_name_or_email="ada")
    anyone.call("ResetPassword", token=mailbox.token(NEW), new_password=OTHER_PASSWORD)
    login(stub, "ada", OTHER_PASSWORD)


def test_an_address_that_another_account_has_confirmed_stays_there(
    service: bootstrap.Service, stub: Stub, anyone: Account, mailbox: Mailbox, audit: RecordedAudit
) -> None:
    register(stub, "ada", email=OLD)
    anyone.call("RequestEmailVerification", user_name_or_email="ada")
    anyone.call("VerifyEmail", token=mailbox.token(OLD))
    register(stub, "eve")
    tokens = login(stub, "eve")
    with pytest.raises(AlreadyThere):
        set_email(service, "eve", OLD)
    refresh(stub, tokens.refresh_token)
    register(stub, "bob", email=OLD)
    with pytest.raises(AlreadyThere):
        set_email(service, "bob", OLD)  # Who has named it only.
    assert mailbox.new() == []
    assert audit.count("email_set_by_operator") == 0


def test_an_address_that_another_account_has_only_named_is_the_users_once_it_is_confirmed(
    service: bootstrap.Service, stub: Stub, anyone: Account, mailbox: Mailbox
) -> None:
    register(stub, "eve", email=NEW, password=OTHER_PASSWORD)
    register(stub, "ada")
    assert set_email(service, "ada", NEW) == 0
    login(stub, NEW, OTHER_PASSWORD)
    anyone.call("VerifyEmail", token=mailbox.token(NEW))
    login(stub, NEW)


def test_operators_who_set_one_address_at_the_same_time_leave_it_with_one_account(
    service: bootstrap.Service, stub: Stub
) -> None:
    names = [f"user{number}" for number in range(OPERATORS)]
    for name in names:
        register(stub, name)
    with ThreadPoolExecutor(OPERATORS) as operators:
        assert set(operators.map(lambda name: set_email(service, name, NEW), names)) == {0}
    login(stub, NEW)
