"""D5, L4: a change whose commit was never acknowledged is answered and recorded as if it had been.

The four RPCs that write are in test_lost_connections.py; these are the stories of operators, and of the keys. Each is
carried out twice, once with no fault and once with the acknowledgement of one of its commits lost, and nobody can tell
the two apart.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from authservice import bootstrap
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.signing_key import KeyState
from authservice.domain.throttle import Tried
from authservice.domain.tokens import SessionTokens
from authservice.ports import last_counts
from authservice.usecases.account.change_password import PasswordChange
from authservice.usecases.admin.operate_users import OperateUsers
from authservice.usecases.admin.set_email import SetEmail
from authservice.usecases.auth.login import Credentials
from authservice.usecases.steps.admit_attempt import account_of
from authservice.usecases.trust.rotate_keys import RotateKeys
from tests.conftest import RecordedAudit, SettableClock
from tests.faults.faulty import COMMIT, FaultyDatabase, hang_up
from tests.faults.seeding import Seeder
from tests.observed import OTHER_PASSWORD, PASSWORD

SECONDS = 30.0
ROLE = "support"
_numbers = count()

pytestmark = pytest.mark.parametrize("backend", ["mariadb"])


@dataclass
class Desk:
    """The stories on a database that can be made to fail, and the same past any fault."""

    service: bootstrap.Service
    faulty: FaultyDatabase
    audit: RecordedAudit
    clock: SettableClock

    @property
    def users(self) -> OperateUsers:
        return replace(self.service.admin.operate_users, database=self.faulty)

    @property
    def set_email(self) -> SetEmail:
        return replace(self.service.admin.set_email, database=self.faulty)

    @property
    def keys(self) -> RotateKeys:
        return replace(self.service.trust.rotate_keys, database=self.faulty)

    def user(self, *, role: str | None = None, is_disabled: bool = False, has_app: bool = False) -> str:
        """Return the name of a new user with two live sessions."""
        seeds, name = Seeder(self.service), f"user{next(_numbers)}"
        user = seeds.user(name)
        seeds.sessions(user, 2)
        if has_app:
            seeds.app(user)
        if role:
            self.service.admin.operate_users.grant(name, role, Deadline.after(SECONDS))
        if is_disabled:
            self.service.admin.operate_users.disable(name, Deadline.after(SECONDS))
        return name

    def active_key(self) -> str:
        """Return the id of the key that signs, once the pending one may follow it."""
        self.service.trust.rotate_keys.ensure(Deadline.after(SECONDS))
        self.clock.advance(minutes=2)
        keys = self.service.trust.rotate_keys.all(Deadline.after(SECONDS))
        return next(key.kid for key in keys if key.state is KeyState.ACTIVE)

    def aged_key(self) -> str:
        """The same, when it is time to replace that key and to remove the one before."""
        for _ in range(2):
            kid = self.active_key()
            self.clock.advance(days=31)
        return kid


@pytest.fixture
def desk(service: bootstrap.Service, faulty: FaultyDatabase, audit: RecordedAudit, clock: SettableClock) -> Desk:
    return Desk(service, faulty, audit, clock)


@dataclass
class Change:
    """A change, and what makes something that is there to be changed."""

    prepare: Callable[[Desk], str]
    make: Callable[[Desk, str, Deadline], Any]


def a_user(desk: Desk) -> str:
    return desk.user()


def a_user_with_a_wrong_password(desk: Desk) -> str:
    name = desk.user()
    user = desk.users.find(name, Deadline.after(SECONDS))
    owner, until = account_of(user.id, desk.service.parts.fingerprints), desk.clock() + timedelta(hours=1)
    desk.service.parts.database.transact(
        lambda tx: tx.attempts.remember(Tried(owner, owner), until), Deadline.after(SECONDS), settle=last_counts
    )
    return name


CHANGES = {
    "disable": Change(a_user, lambda desk, name, deadline: desk.users.disable(name, deadline)),
    "enable": Change(
        lambda desk: desk.user(is_disabled=True), lambda desk, name, deadline: desk.users.enable(name, deadline)
    ),
    "remove_second_factor": Change(
        lambda desk: desk.user(has_app=True),
        lambda desk, name, deadline: desk.users.remove_second_factor(name, deadline),
    ),
    "set_email": Change(a_user, lambda desk, name, deadline: desk.set_email(name, f"{name}@example.net", deadline)),
    "grant": Change(a_user, lambda desk, name, deadline: desk.users.grant(name, ROLE, deadline)),
    "take": Change(
        lambda desk: desk.user(role=ROLE), lambda desk, name, deadline: desk.users.take(name, ROLE, deadline)
    ),
    "unthrottle": Change(
        a_user_with_a_wrong_password, lambda desk, name, deadline: desk.users.unthrottle(name, deadline)
    ),
    "ensure": Change(Desk.aged_key, lambda desk, _, deadline: desk.keys.ensure(deadline)),
    "rotate": Change(Desk.active_key, lambda desk, _, deadline: desk.keys.rotate(deadline).state),
    "revoke": Change(Desk.active_key, lambda desk, kid, deadline: desk.keys.revoke(kid, deadline)),
    "reseal": Change(Desk.active_key, lambda desk, _, deadline: desk.keys.reseal(deadline) > 0),
}
READS = {"page", "find", "details", "roles", "all"}


def outcome(desk: Desk, change: Change, subject: str) -> tuple[Any, list[tuple[str, Any]]]:
    """Return what a change answers, and which events it leaves with how much ended."""
    desk.audit.events.clear()
    answer = change.make(desk, subject, Deadline.after(SECONDS))
    return answer, [(event, facts.get("ended")) for event, facts in desk.audit.events]


@pytest.mark.parametrize("name", CHANGES)
def test_d5_l4_nobody_can_tell_that_an_acknowledgement_was_lost(desk: Desk, name: str) -> None:
    change = CHANGES[name]
    subject = change.prepare(desk)
    desk.faulty.plan.record()
    usual = outcome(desk, change, subject)
    commits = [at for at, text in enumerate(desk.faulty.plan.sent, 1) if text == COMMIT]
    assert commits
    assert usual[1], "a change leaves an event"
    for at in commits:
        subject = change.prepare(desk)
        desk.faulty.plan.arm(hang_up, at, after_commit=True)
        assert outcome(desk, change, subject) == usual, f"the acknowledgement of statement {at} was lost"


def test_d5_l4_a_password_whose_change_was_never_acknowledged_is_changed_as_far_as_anybody_can_tell(desk: Desk) -> None:
    seeds, change = Seeder(desk.service), replace(desk.service.account.change_password, database=desk.faulty)

    def outcome() -> tuple[int, list[str]]:
        mine = seeds.sessions(seeds.user(f"user{next(_numbers)}"), 3)[0]
        caller = Caller(mine.user_id, mine.session_id, desk.clock(), ("pwd",))
        desk.audit.events.clear()
        ended = change(PasswordChange(PASSWORD, OTHER_PASSWORD), caller, Deadline.after(SECONDS))
        return ended, [event for event, _ in desk.audit.events]

    assert lost(desk, outcome) == (2, ["password_changed"])


def lost(desk: Desk, outcome: Callable[[], Any]) -> Any:
    """Return an outcome, after making sure that it is the same where the last acknowledgement is lost."""
    desk.faulty.plan.record()
    usual = outcome()
    at = max(at for at, text in enumerate(desk.faulty.plan.sent, 1) if text == COMMIT)
    desk.faulty.plan.arm(hang_up, at, after_commit=True)
    assert outcome() == usual
    return usual


def test_d5_l4_a_one_time_password_that_was_never_acknowledged_is_made(desk: Desk) -> None:
    make = replace(desk.service.admin.make_one_time_password, database=desk.faulty)

    def outcome() -> tuple[int, list[str]]:
        name = desk.user()
        desk.audit.events.clear()
        ended = make(name, Deadline.after(SECONDS)).ended
        return ended, [event for event, _ in desk.audit.events]

    assert lost(desk, outcome) == (2, ["one_time_password_made"])


def test_d5_l4_a_one_time_password_whose_replacement_was_never_acknowledged_is_replaced_and_the_session_lives(
    desk: Desk,
) -> None:
    login = desk.service.auth.login
    late = replace(login, open_session=replace(login.open_session, database=desk.faulty))

    def outcome() -> tuple[int, list[str]]:
        name = desk.user()
        made = desk.service.admin.make_one_time_password(name, Deadline.after(SECONDS))
        desk.audit.events.clear()
        tokens = late(Credentials(name, made.text, new_password=OTHER_PASSWORD), Deadline.after(SECONDS))
        assert isinstance(tokens, SessionTokens)
        live = desk.service.parts.database.read(
            lambda tx: tx.sessions.live_of(tokens.user_id, desk.clock()), Deadline.after(SECONDS)
        )
        assert [each.id for each in live] == [tokens.session_id]
        return len(live), [event for event, _ in desk.audit.events]

    assert lost(desk, outcome) == (1, ["login", "one_time_password_replaced"])


def test_every_change_of_operators_and_keys_is_tried_here(backend: str) -> None:
    told = {name for story in (OperateUsers, RotateKeys) for name in vars(story) if not name.startswith("_")}
    fields = {*OperateUsers.__dataclass_fields__, *RotateKeys.__dataclass_fields__}
    assert told - fields - READS == set(CHANGES) - {"set_email"}, "which is a story of its own"
