"""Who may register, and who may log in: by setting, on each database."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.usecases.admin.invite import AlreadyThere
from authservice.usecases.auth.register import Registration
from tests.conftest import CHEAPEST, RecordedAudit, SettableClock, serve_in_process
from tests.observed import OTHER_PASSWORD, PASSWORD, ObservedChannel, Refusal, login, refusal, register
from tests.rpc.account.calling import Account
from tests.rpc.account.mailbox import Mailbox, text_of

ADDRESS = "ada@example.com"
USES = 30


@dataclass
class Company:
    """A running service with settings of its own."""

    service: bootstrap.Service
    channel: grpc.Channel

    @property
    def stub(self) -> rpc.AuthServiceStub:
        return rpc.AuthServiceStub(self.channel)

    @property
    def anyone(self) -> Account:
        return Account(self.channel, "")

    @property
    def mailbox(self) -> Mailbox:
        return Mailbox(self.service)

    def invite(self, address: str = ADDRESS) -> str:
        """Invite somebody and return the token of the mail."""
        mailbox = self.mailbox
        mailbox.new()
        self.service.admin.invite(address, Deadline.after(30))
        return mailbox.token(address)


Open = Callable[..., Company]


@pytest.fixture
def company(settings: Settings, clock: SettableClock, audit: RecordedAudit) -> Iterator[Open]:
    """Return what opens a service with these settings."""
    with contextlib.ExitStack() as stack:

        def opened(**chosen: object) -> Company:
            chosen_settings = settings.model_copy(update={"hash_queue": 100, **chosen})
            service = bootstrap.assemble(chosen_settings, clock=clock, audit=audit, hash_cost=CHEAPEST)
            stack.callback(service.close)
            served, port = serve_in_process(service)
            stack.callback(served.stop, 0)
            channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}"))
            return Company(service, ObservedChannel.around(channel))

        yield opened


def test_where_registration_is_closed_an_operator_makes_the_accounts(company: Open) -> None:
    at = company(registration="closed")
    answer = refusal(register, at.stub, "ada")
    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "REGISTRATION_CLOSED")
    at.service.auth.register_by_operator(Registration("ada", PASSWORD), Deadline.after(30))
    login(at.stub, "ada")


def test_who_was_invited_makes_one_account_whose_address_is_confirmed(company: Open, audit: RecordedAudit) -> None:
    at = company(registration="invited", email_confirmation="required")
    assert refusal(register, at.stub, "ada", email=ADDRESS).violations.keys() == {"invitation_token"}
    token = at.invite()
    assert refusal(register, at.stub, "ada", email="eve@example.com", invitation_token=token).violations.keys() == {
        "email"
    }
    register(at.stub, "ada", invitation_token=token)
    login(at.stub, ADDRESS)
    assert refusal(register, at.stub, "eve", invitation_token=token).reason == "ONE_TIME_TOKEN_INVALID"
    with pytest.raises(AlreadyThere):
        at.service.admin.invite(ADDRESS, Deadline.after(30))
    assert audit.count("person_invited") == 1


def test_p1_of_many_who_use_one_invitation_at_once_one_gets_an_account(company: Open) -> None:
    at = company(registration="invited")
    token = at.invite()

    def use(number: int) -> str | None:
        try:
            register(at.stub, f"user{number}", invitation_token=token)
        except grpc.RpcError as error:
            return Refusal(error).reason
        return None

    with ThreadPoolExecutor(USES) as threads:
        outcomes = list(threads.map(use, range(USES)))
    assert (outcomes.count(None), outcomes.count("ONE_TIME_TOKEN_INVALID")) == (1, USES - 1)
    assert len(at.service.admin.operate_users.page("", 100, Deadline.after(30))) == 1


def test_an_invitation_is_spent_by_an_account_and_by_nothing_else(company: Open, clock: SettableClock) -> None:
    at = company(registration="invited")
    at.service.auth.register_by_operator(Registration("taken", PASSWORD), Deadline.after(30))
    token = at.invite()
    assert refusal(register, at.stub, "taken", invitation_token=token).reason == "USER_NAME_TAKEN"
    assert refusal(register, at.stub, "ada", "short", invitation_token=token).violations.keys() == {"password"}
    newer = at.invite()
    assert refusal(register, at.stub, "ada", invitation_token=token).reason == "ONE_TIME_TOKEN_INVALID", "P3"
    clock.advance(days=7)
    assert refusal(register, at.stub, "ada", invitation_token=newer).reason == "ONE_TIME_TOKEN_INVALID", "P2"
    clock.advance(microseconds=-1)
    first = register(at.stub, "ada", invitation_token=newer, idempotency_key="idempotency-key-of-ada")
    again = register(at.stub, "ada", invitation_token=newer, idempotency_key="idempotency-key-of-ada")
    assert first == again, "a repetition with the same key finds its account"


def test_c10_who_was_not_invited_does_not_learn_which_names_are_taken(company: Open) -> None:
    at = company(registration="invited")
    at.service.auth.register_by_operator(Registration("taken", PASSWORD), Deadline.after(30))
    answers = [refusal(register, at.stub, name, invitation_token="invite.x.y") for name in ("taken", "free")]
    assert len({(answer.code, answer.reason, answer.message) for answer in answers}) == 1
    assert answers[0].reason == "ONE_TIME_TOKEN_INVALID"


def test_an_invitation_that_was_withdrawn_makes_no_account(company: Open, audit: RecordedAudit) -> None:
    at = company(registration="invited")
    token = at.invite()
    assert at.service.admin.invite.withdraw(ADDRESS, Deadline.after(30))
    assert refusal(register, at.stub, "ada", invitation_token=token).reason == "ONE_TIME_TOKEN_INVALID"
    assert not at.service.admin.invite.withdraw(ADDRESS, Deadline.after(30))
    register(at.stub, "ada", invitation_token=at.invite())
    assert not at.service.admin.invite.withdraw(ADDRESS, Deadline.after(30)), "it was used"
    assert audit.count("invitation_withdrawn") == 1


def test_a_reset_token_is_no_invitation(company: Open) -> None:
    at = company()
    register(at.stub, "ada", email=ADDRESS)
    at.anyone.call("RequestPasswordReset", user_name_or_email="ada")
    token = at.mailbox.token()
    assert refusal(register, at.stub, "eve", invitation_token=token).reason == "ONE_TIME_TOKEN_INVALID"


def test_an_address_is_confirmed_before_the_first_login_where_that_is_asked_for(
    company: Open, audit: RecordedAudit
) -> None:
    at = company(email_confirmation="required")
    assert refusal(register, at.stub, "ada").violations.keys() == {"email"}
    register(at.stub, "ada", email=ADDRESS)
    token = at.mailbox.token()
    early = refusal(login, at.stub, "ada")
    assert (early.code, early.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "EMAIL_NOT_CONFIRMED")
    assert refusal(login, at.stub, "ada", OTHER_PASSWORD).reason == "CREDENTIALS_INVALID", "who guesses learns nothing"
    at.anyone.call("VerifyEmail", token=token)
    login(at.stub, "ada")
    assert audit.count("login_not_confirmed") == 1


def test_c10_a_taken_address_is_answered_alike_and_its_owner_is_told(company: Open) -> None:
    at = company(email_confirmation="required")
    mailbox = at.mailbox
    register(at.stub, "ada", email=ADDRESS)
    at.anyone.call("VerifyEmail", token=mailbox.token())
    register(at.stub, "eve", email=ADDRESS)
    (message,) = mailbox.new()
    assert message["Subject"] == "You have an account with authservice"
    assert "ada" in text_of(message)
    assert refusal(login, at.stub, "eve").reason == "EMAIL_NOT_CONFIRMED"


def test_c10_an_address_that_nobody_has_confirmed_is_no_name_where_that_is_asked_for(company: Open) -> None:
    """Or whoever registers an address and logs in by it hears whether it was somebody's."""
    at = company(email_confirmation="required")
    register(at.stub, "ada", email=ADDRESS)
    at.anyone.call("VerifyEmail", token=at.mailbox.token())
    register(at.stub, "eve", OTHER_PASSWORD, email=ADDRESS)
    register(at.stub, "eve2", OTHER_PASSWORD, email="nobodys@example.com")
    heard = [refusal(login, at.stub, typed, OTHER_PASSWORD).reason for typed in (ADDRESS, "nobodys@example.com")]
    assert heard == ["CREDENTIALS_INVALID"] * 2
    assert refusal(login, at.stub, "eve2", OTHER_PASSWORD).reason == "EMAIL_NOT_CONFIRMED"
    login(at.stub, ADDRESS)


def test_an_account_without_an_address_has_nothing_to_confirm(company: Open) -> None:
    at = company(email_confirmation="required")
    at.service.auth.register_by_operator(Registration("robot", PASSWORD), Deadline.after(30))
    login(at.stub, "robot")


def test_unless_it_is_asked_for_an_address_needs_no_confirmation_and_no_mail_is_sent(company: Open) -> None:
    at = company()
    register(at.stub, "ada", email=ADDRESS)
    login(at.stub, ADDRESS)
    assert at.mailbox.new() == []


def test_p6_registering_again_and_again_floods_no_mailbox(company: Open) -> None:
    at = company(email_confirmation="required")
    for number in range(8):
        register(at.stub, f"user{number}", email=ADDRESS)
    assert len(at.mailbox.new()) == 5
