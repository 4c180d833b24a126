"""The calls that write, each with a way to ask the database what has become of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from uuid import UUID

import grpc
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.mail import OneTimeToken, Purpose
from authservice.domain.tokens import SessionTokens
from authservice.domain.user import User
from authservice.ports import Transaction, last_counts
from authservice.usecases.auth.register import Registration
from tests.conftest import RecordedAudit
from tests.contract import snake_case
from tests.faults.seeding import Seeder
from tests.observed import OTHER_PASSWORD, PASSWORD, Refusal, login, logout, refresh, register
from tests.rpc.account.calling import Account

EVENTS = {
    "Register": events.UserRegistered.name,
    "Login": events.Login.name,
    "Refresh": events.SessionRefreshed.name,
    "Logout": events.Logout.name,
    "RevokeSession": events.SessionRevoked.name,
    "RevokeOtherSessions": events.OtherSessionsRevoked.name,
    "ChangePassword": events.PasswordChanged.name,
    "UpdateAccount": events.AccountUpdated.name,
    "DeleteAccount": events.AccountDeletionRequested.name,
    "CancelDeletion": events.AccountDeletionCancelled.name,
    "RequestPasswordReset": events.MailAsked.name,
    "ResetPassword": events.PasswordReset.name,
    "RequestEmailVerification": events.MailAsked.name,
    "VerifyEmail": events.EmailChanged.name,
    "ChangeEmail": events.EmailChangeAsked.name,
}
"""What is recorded of each call that writes, once and only if it has happened."""
NAMES = tuple(EVENTS)
READING = {
    "ListSessions",
    "EstimatePassword",
    "GetAccount",
    "ExportAccount",
    "Verify",
    "GetSigningKeys",
    "WatchRevocations",
}
"""The calls that change nothing."""


@dataclass
class Operation:
    """One call on its own user or session. It may be repeated, as a client does that got no answer.

    Args:
        call: makes the call.
        effects: how often the call has happened, by the rows that it leaves.
    """

    call: Callable[[], object]
    effects: Callable[[], int]


@dataclass
class Operations:
    """Makes fresh operations. `service` looks at the database past any fault."""

    channel: grpc.Channel
    service: bootstrap.Service
    audit: RecordedAudit
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def stub(self) -> rpc.AuthServiceStub:
        """Return what calls AuthService."""
        return rpc.AuthServiceStub(self.channel)

    def fresh(self, name: str) -> Operation:
        """Return an operation that has not happened yet."""
        self.audit.events.clear()
        operation: Operation = getattr(self, f"_{snake_case(name)}")()
        return operation

    def session(self) -> SessionTokens:
        """Return the tokens of a new session of a new user."""
        seeds = Seeder(self.service)
        tokens = seeds.sessions(seeds.user(self._name()), 1)[0]
        self.audit.events.clear()
        return tokens

    def _register(self) -> Operation:
        name = self._name()
        return Operation(
            lambda: register(self.stub, name, idempotency_key=f"idempotency-key-of-{name}"),
            lambda: self._read(lambda tx: int(tx.users.by_name(name) is not None)),
        )

    def _login(self) -> Operation:
        user = Seeder(self.service).user(self._name())
        self.audit.events.clear()
        now = self.service.parts.clock()
        return Operation(
            lambda: login(self.stub, user.name.typed),
            lambda: self._read(lambda tx: tx.sessions.count_live(user.id, now)),
        )

    def _refresh(self) -> Operation:
        tokens = self.session()
        seeds = Seeder(self.service)
        return Operation(lambda: refresh(self.stub, tokens.refresh_token), lambda: seeds.generation(tokens.session_id))

    def _logout(self) -> Operation:
        tokens = self.session()
        return Operation(
            lambda: logout(self.stub, tokens.access_token), lambda: int(not self.is_live(tokens.session_id))
        )

    def _revoke_session(self) -> Operation:
        _, account, sessions = self._account()
        lost = sessions[1].session_id
        return Operation(
            lambda: account.call("RevokeSession", session_id=str(lost)), lambda: int(not self.is_live(lost))
        )

    def _revoke_other_sessions(self) -> Operation:
        _, account, sessions = self._account()
        return Operation(
            lambda: account.call("RevokeOtherSessions"), lambda: int(not self.is_live(sessions[1].session_id))
        )

    def _change_password(self) -> Operation:
        user, account, sessions = self._account()

        def change() -> object:
            try:
                return account.call("ChangePassword", old_password=PASSWORD, new_password=OTHER_PASSWORD)
            except grpc.RpcError as error:
                # By whom the first answer was lost, the password is another one.
                if Refusal(error).reason == "CREDENTIALS_INVALID" and self._user(user).secret_generation:
                    return None
                raise

        def effects() -> int:
            changed = self._user(user).secret_generation
            assert bool(changed) is not self.is_live(sessions[1].session_id), "half of it"
            return changed

        return Operation(change, effects)

    def _update_account(self) -> Operation:
        user, account, _ = self._account()
        return Operation(
            lambda: account.call("UpdateAccount", display_name="Ada"),
            lambda: int(self._user(user).display_name == "Ada"),
        )

    def _delete_account(self) -> Operation:
        user, account, sessions = self._account()

        def effects() -> int:
            is_over = [not self.is_live(each.session_id) for each in sessions]
            assert len({*is_over, self._user(user).erase_at is not None}) == 1, "half of it"
            return int(all(is_over))

        return Operation(lambda: account.call("DeleteAccount"), effects)

    def _cancel_deletion(self) -> Operation:
        user, account, _ = self._account()
        later = self.service.parts.clock() + timedelta(days=1)
        self.service.parts.database.transact(
            lambda tx: tx.users.set_erase_at(user.id, later), Deadline.after(10), settle=last_counts
        )
        return Operation(lambda: account.call("CancelDeletion"), lambda: int(self._user(user).erase_at is None))

    def _request_password_reset(self) -> Operation:
        return self._asking(Account(self.channel), "RequestPasswordReset", user_name_or_email="somebody")

    def _request_email_verification(self) -> Operation:
        return self._asking(Account(self.channel), "RequestEmailVerification", user_name_or_email="somebody")

    def _change_email(self) -> Operation:
        _, account, _ = self._account()
        return self._asking(account, "ChangeEmail", new_email="new@example.com")

    def _asking(self, account: Account, method: str, **fields: str) -> Operation:
        before = self._read(lambda tx: tx.outbox.waiting())
        return Operation(
            lambda: account.call(method, **fields), lambda: self._read(lambda tx: tx.outbox.waiting()) - before
        )

    def _reset_password(self) -> Operation:
        user, token = self._token(Purpose.RESET)
        return self._proving(user, "ResetPassword", token=token.text, new_password=OTHER_PASSWORD)

    def _verify_email(self) -> Operation:
        user, token = self._token(Purpose.CHANGE_EMAIL)
        return self._proving(user, "VerifyEmail", token=token.text)

    def _token(self, purpose: Purpose) -> tuple[User, OneTimeToken]:
        """Return a new user, with a token that is good."""
        name, issue = self._name(), self.service.mail.deliver.answer_asked.issue_token
        address = f"{name}@example.com"
        user = self.service.auth.register(Registration(name, PASSWORD, address), Deadline.after(10))
        token, now = issue.new(purpose), self.service.parts.clock()
        self.audit.events.clear()
        to = address if purpose is Purpose.RESET else f"new-{address}"
        self.service.parts.database.transact(
            lambda tx: issue(tx, token, user, to, now), Deadline.after(10), settle=last_counts
        )
        return user, token

    def _proving(self, user: User, method: str, **fields: str) -> Operation:
        return Operation(
            lambda: Account(self.channel).call(method, **fields), lambda: self._user(user).secret_generation
        )

    def _account(self) -> tuple[User, Account, list[SessionTokens]]:
        """Return a new user, what calls from the first of their two sessions, and these."""
        seeds = Seeder(self.service)
        sessions = seeds.sessions(user := seeds.user(self._name()), 2)
        self.audit.events.clear()
        return user, Account(self.channel, sessions[0].access_token), sessions

    def _user(self, user: User) -> User:
        found = self.service.parts.database.read(lambda tx: tx.users.get(user.id), Deadline.after(10))
        assert found
        return found

    def is_live(self, session_id: UUID) -> bool:
        """Tell whether a session is live."""
        return bool(self._read(lambda tx: _is_live(tx, session_id, self.service)))

    def _name(self) -> str:
        return f"user{next(self._numbers)}"

    def _read(self, work: Callable[[Transaction], int]) -> int:
        return self.service.parts.database.read(work, Deadline.after(10))


def _is_live(tx: Transaction, session_id: UUID, service: bootstrap.Service) -> bool:
    found = tx.sessions.get(session_id)
    assert found, "a session without its row"
    return found[0].is_live(service.parts.clock())
