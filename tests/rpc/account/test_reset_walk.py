"""P8: steps of a reset are left out, mixed and repeated, in any order; no password is set without a live token."""

import os
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from uuid6 import uuid7

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.domain.errors import OneTimeTokenInvalid
from authservice.domain.user import User
from authservice.usecases.auth.register import Registration
from tests.conftest import SettableClock
from tests.observed import PASSWORD
from tests.rpc.account.mailbox import Mailbox, text_of, token_of

RUNS = int(os.environ.get("AUTHSERVICE_TEST_RESET_WALKS", "12"))
STEPS = 12
NETWORK = "192.0.2.1"
NAMES = ("ada", "eve")
names = st.sampled_from(NAMES)
forgeries = st.sampled_from(["purpose", "secret", "cut", "id"])


def seconds() -> Deadline:
    return Deadline.after(30)


@dataclass
class Holder:
    """A user, what was sent to them, and what is known of it.

    Attributes:
        live: the token that sets their password, if there is one, and when it is over.
        dead: those that did.
    """

    user: User
    hash: str
    live: tuple[str, Any] | None = None
    dead: list[str] = field(default_factory=list)

    def end(self) -> None:
        """Note that no token is good any more."""
        if self.live:
            self.dead.append(self.live[0])
        self.live = None


class Walk(RuleBasedStateMachine):
    """Two users, anybody's steps, and a model of which token sets whose password."""

    service: bootstrap.Service
    clock: SettableClock
    mailbox: Mailbox

    @initialize()
    def begin(self) -> None:
        mark = uuid7().hex
        self.holders = {name: self._register(f"{name}{mark}") for name in NAMES}

    def _register(self, name: str) -> Holder:
        user = self.service.auth.register(Registration(name, PASSWORD, f"{name}@example.com"), seconds())
        return Holder(user, user.password_hash)

    @rule(name=names)
    def ask_for_a_reset(self, name: str) -> None:
        holder = self.holders[name]
        self.service.account.request_password_reset(holder.user.name.typed, NETWORK, seconds())
        for message in self.mailbox.new():
            assert message["To"] == holder.user.email
            if "new password for your account" in text_of(message):
                holder.end()
                holder.live = token_of(message), self.clock.now

    @rule(name=names)
    def ask_for_a_confirmation(self, name: str) -> None:
        holder = self.holders[name]
        self.service.account.request_email_verification(holder.user.name.typed, NETWORK, seconds())
        holder.dead += [token_of(message) for message in self.mailbox.new() if "verify_email." in text_of(message)]

    @rule(name=names, number=st.integers(0, 50))
    @precondition(lambda self: any(holder.dead for holder in self.holders.values()))
    def use_what_is_dead_or_for_something_else(self, name: str, number: int) -> None:
        dead = self.holders[name].dead
        if dead:
            self._is_refused(dead[number % len(dead)])

    @rule(name=names, forgery=forgeries)
    def use_a_forged_one(self, name: str, forgery: str) -> None:
        if live := self.holders[name].live:
            purpose, token_id, secret = live[0].split(".")
            other = next((each.live[0] for key, each in self.holders.items() if key != name and each.live), live[0])
            self._is_refused(
                {
                    "purpose": f"change_email.{token_id}.{secret}",
                    "secret": f"{purpose}.{token_id}.{'A' * 43}",
                    "cut": live[0][:-1],
                    "id": f"{purpose}.{token_id}.{other.split('.')[2]}x",
                }[forgery]
            )

    @rule(name=names)
    def use_a_live_one_with_a_bad_password(self, name: str) -> None:
        if live := self.holders[name].live:
            with pytest.raises(Exception, match=r"Correct the fields|not good"):
                self.service.account.reset_password(live[0], "short", seconds())

    @rule(name=names)
    def use_a_live_one(self, name: str) -> None:
        holder = self.holders[name]
        if holder.live is None:
            return
        token, since = holder.live
        if (self.clock.now - since).total_seconds() >= 900:
            self._is_refused(token)
            return
        self.service.account.reset_password(token, f"{PASSWORD} {uuid7()}", seconds())
        self.mailbox.new()
        holder.end()
        now = self._stored(holder).password_hash
        assert now != holder.hash
        holder.hash = now

    @rule(minutes=st.sampled_from([1, 14, 16]))
    def wait(self, minutes: int) -> None:
        self.clock.advance(minutes=minutes)

    @invariant()
    def no_password_has_changed_without_one(self) -> None:
        for holder in getattr(self, "holders", {}).values():
            assert self._stored(holder).password_hash == holder.hash

    def _is_refused(self, token: str) -> None:
        with pytest.raises(OneTimeTokenInvalid):
            self.service.account.reset_password(token, f"{PASSWORD} {uuid7()}", seconds())

    def _stored(self, holder: Holder) -> User:
        user = self.service.parts.database.read(lambda tx: tx.users.get(holder.user.id), seconds())
        assert user
        return user


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_p8_no_path_sets_a_password_without_a_live_token_of_that_user(
    service: bootstrap.Service, clock: SettableClock
) -> None:
    walk = type("OneWalk", (Walk,), {"service": service, "clock": clock, "mailbox": Mailbox(service)})
    run_state_machine_as_test(
        walk,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
