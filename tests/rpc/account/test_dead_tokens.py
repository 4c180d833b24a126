"""S7: what is handed out before a user is disabled, deleted or proved anew is dead once that is acknowledged.

Every way in which an account loses something by every kind of token that was good just before.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from authapi.v1 import second_factor_pb2 as factor_api

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from tests.conftest import SettableClock
from tests.observed import OTHER_PASSWORD, PASSWORD, Refusal, login, refresh, refusal, register, verify
from tests.rpc.account.calling import Account
from tests.rpc.account.mailbox import Mailbox
from tests.rpc.passkeys.conftest import an_owner
from tests.rpc.passkeys.people import Owner

ROLE = "clerk"


@dataclass
class Holder:
    """Somebody who holds a token of each kind. Each is good at this moment."""

    service: bootstrap.Service
    owner: Owner
    mailbox: Mailbox
    access: str = ""
    refresh_token: str = ""
    challenge: factor_api.Challenge = field(default_factory=factor_api.Challenge)
    reset: str = ""
    change_email: str = ""
    ceremony: factor_api.PasskeyCeremony = field(default_factory=factor_api.PasskeyCeremony)

    def __post_init__(self) -> None:
        self.service.admin.operate_users.grant("ada", ROLE, seconds())
        # The order matters: what raises the session comes first, and challenges are from after it.
        self.owner.tokens = refresh(self.owner.stub, self.owner.tokens.refresh_token)
        self.owner.set_up()
        self.owner.tokens = refresh(self.owner.stub, self.owner.tokens.refresh_token)
        self.access, self.refresh_token = self.owner.tokens.access_token, self.owner.tokens.refresh_token
        self.owner.account.call("ChangeEmail", new_email="new@example.com")
        self.change_email = self.mailbox.token("new@example.com")
        Account(self.owner.channel).call("RequestPasswordReset", user_name_or_email="ada")
        self.reset = self.mailbox.token()
        self.challenge = self.owner.challenge()
        self.ceremony = self.owner.account.call("BeginPasskeyRegistration").ceremony

    @property
    def operator(self) -> Any:
        """What operators do with accounts."""
        return self.service.admin.operate_users

    def uses(self) -> dict[str, Callable[[], object]]:
        """Return how each kind of token is used."""
        anyone = Account(self.owner.channel)
        made = self.owner.device.create(self.ceremony.options_json)
        return {
            "access": lambda: verify(self.owner.stub, self.access),
            "refresh": lambda: refresh(self.owner.stub, self.refresh_token),
            "challenge": lambda: self.owner.complete(self.challenge, self.owner.recovery_codes[0]),
            "reset": lambda: anyone.call("ResetPassword", token=self.reset, new_password=OTHER_PASSWORD + " again"),
            "change_email": lambda: anyone.call("VerifyEmail", token=self.change_email),
            "ceremony": lambda: Account(self.owner.channel, self.access).call(
                "FinishPasskeyRegistration",
                ceremony_token=self.ceremony.ceremony_token,
                credential_json=made,
                name="Phone",
            ),
        }


def seconds() -> Deadline:
    return Deadline.after(20)


def disable(holder: Holder) -> None:
    holder.operator.disable("ada", seconds())


def disable_and_enable(holder: Holder) -> None:
    holder.operator.disable("ada", seconds())
    holder.operator.enable("ada", seconds())


def delete(holder: Holder) -> None:
    holder.owner.account.call("DeleteAccount")


def delete_and_cancel(holder: Holder) -> None:
    user = holder.operator.find("ada", seconds())
    holder.service.account.delete_account(user.id, seconds())
    holder.service.account.cancel_deletion(user.id, seconds())


def erase(holder: Holder) -> None:
    user = holder.operator.find("ada", seconds())
    holder.service.account.delete_account(user.id, seconds(), at_once=True)
    assert holder.service.account.erase_accounts.erase(user.id)


def erase_and_register_another(holder: Holder) -> None:
    erase(holder)
    assert refusal(register, holder.owner.stub, "ada", email="ada@example.com").reason == "USER_NAME_TAKEN"
    register(holder.owner.stub, "ada2", email="ada@example.com")
    identity = verify(holder.owner.stub, login(holder.owner.stub, "ada2").access_token)
    assert list(identity.roles) == [], "nothing is inherited"


def reset_by_another_mail(holder: Holder) -> None:
    Account(holder.owner.channel).call("RequestPasswordReset", user_name_or_email="ada")
    token = holder.mailbox.token()
    Account(holder.owner.channel).call("ResetPassword", token=token, new_password=OTHER_PASSWORD)


def one_time_password(holder: Holder) -> None:
    holder.service.admin.make_one_time_password("ada", seconds())


def remove_second_factors(holder: Holder) -> None:
    holder.operator.remove_second_factor("ada", seconds())


def address_by_operator(holder: Holder) -> None:
    holder.service.admin.set_email("ada", "ada@example.net", seconds())


WAYS = (
    disable,
    disable_and_enable,
    delete,
    delete_and_cancel,
    erase,
    erase_and_register_another,
    reset_by_another_mail,
    one_time_password,
    remove_second_factors,
    address_by_operator,
)
DEAD = {
    "access": {"SESSION_ENDED"},
    "refresh": {"SESSION_ENDED", "TOKEN_INVALID"},  # The row of the session may be gone.
    "challenge": {"CHALLENGE_OVER", "CREDENTIALS_INVALID"},
    "reset": {"ONE_TIME_TOKEN_INVALID"},
    "change_email": {"ONE_TIME_TOKEN_INVALID"},
    "ceremony": {"SESSION_ENDED"},
}
"""What each kind of token hears afterwards."""


@pytest.fixture
def holder(channel: grpc.Channel, clock: SettableClock, service: bootstrap.Service) -> Holder:
    return Holder(service, an_owner(channel, clock), Mailbox(service))


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_s7_whatever_was_handed_out_before_is_dead_afterwards(holder: Holder, way: Callable[[Holder], None]) -> None:
    uses = holder.uses()
    assert uses.keys() == DEAD.keys()
    way(holder)
    holder.owner.clock.advance(seconds=31)
    heard = {}
    for kind, use in uses.items():
        try:
            use()
        except grpc.RpcError as error:
            heard[kind] = str(Refusal(error).reason)
        else:
            heard[kind] = "OK"
    assert {kind: reason for kind, reason in heard.items() if reason not in DEAD[kind]} == {}


@pytest.mark.parametrize("kind", DEAD)
def test_s7_each_kind_of_token_is_good_before(holder: Holder, kind: str) -> None:
    assert holder.uses()[kind](), "or the table shows nothing"


def test_s7_a_role_that_was_taken_is_in_no_token_any_more(holder: Holder) -> None:
    holder.operator.take("ada", ROLE, seconds())
    assert refusal(verify, holder.owner.stub, holder.access).reason == "TOKEN_OUTDATED"
    renewed = refresh(holder.owner.stub, holder.refresh_token)
    assert list(verify(holder.owner.stub, renewed.access_token).roles) == []
    begun = holder.owner.complete(holder.challenge, holder.owner.recovery_codes[0])
    assert list(verify(holder.owner.stub, begun.tokens.access_token).roles) == []


def test_s7_a_changed_password_leaves_the_session_that_changed_it_and_nothing_else(holder: Holder) -> None:
    mine = holder.owner.complete(holder.owner.challenge(), holder.owner.recovery_codes[1]).tokens
    waiting = holder.owner.challenge()
    Account(holder.owner.channel, mine.access_token).call(
        "ChangePassword", old_password=PASSWORD, new_password=OTHER_PASSWORD
    )
    assert verify(holder.owner.stub, mine.access_token).session_id == mine.session_id
    assert refusal(verify, holder.owner.stub, holder.access).reason == "SESSION_ENDED"
    assert refusal(holder.owner.complete, waiting, holder.owner.recovery_codes[2]).reason == "CHALLENGE_OVER"
    for token, method in ((holder.reset, "ResetPassword"), (holder.change_email, "VerifyEmail")):
        fields = {"new_password": OTHER_PASSWORD + " again"} if method == "ResetPassword" else {}
        refused = refusal(Account(holder.owner.channel).call, method, token=token, **fields)
        assert refused.reason == "ONE_TIME_TOKEN_INVALID"
