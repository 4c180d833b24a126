"""The calls that write, each with a way to ask the database what has become of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
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
from tests.observed import OTHER_PASSWORD, PASSWORD, login, logout, refresh, register
from tests.rpc.account.calling import Account

EVENTS = {
    "Register": events.UserRegistered.name,
    "Login": events.Login.name,
    "Refresh": events.SessionRefreshed.name,
    "Logout": events.Logout.name,
    "RevokeSession": events.SessionRevoked.name,
    "RevokeOtherSessions": events.OtherSessionsRevoked.name,
    "RequestPasswordReset": events.MailAsked.name,
    "ResetPassword": events.PasswordReset.name,
    "RequestEmailVerification": events.MailAsked.name,
    "VerifyEmail": events.EmailChanged.name,
    "ChangeEmail": events.EmailChangeAsked.name,
}
"""What is recorded of each call that writes, once and only if it has happened."""
NAMES = tuple(EVENTS)
READING = {"Verify", "ListSessions", "GetSigningKeys", "WatchRevocations"}
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
        tokens = self.session()
        return Operation(
            lambda: self._account(tokens).call("RevokeSession", session_id=str(tokens.session_id)),
            lambda: int(not self.is_live(tokens.session_id)),
        )

    def _revoke_other_sessions(self) -> Operation:
        seeds = Seeder(self.service)
        mine, other = seeds.sessions(seeds.user(self._name()), 2)
        self.audit.events.clear()
        return Operation(
            lambda: self._account(mine).call("RevokeOtherSessions"), lambda: int(not self.is_live(other.session_id))
        )

    def _request_password_reset(self) -> Operation:
        return self._asking("RequestPasswordReset", user_name_or_email="somebody")

    def _request_email_verification(self) -> Operation:
        return self._asking("RequestEmailVerification", user_name_or_email="somebody")

    def _change_email(self) -> Operation:
        return self._asking("ChangeEmail", self.session(), new_email="new@example.com")

    def _asking(self, method: str, tokens: SessionTokens | None = None, **fields: str) -> Operation:
        before = self._read(lambda tx: tx.outbox.waiting())
        return Operation(
            lambda: self._account(tokens).call(method, **fields),
            lambda: self._read(lambda tx: tx.outbox.waiting()) - before,
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
        request = Registration(name, PASSWORD, address)
        user, token, now = (
            self.service.auth.register(request, Deadline.after(10)),
            issue.new(purpose),
            self.service.parts.clock(),
        )
        self.audit.events.clear()
        to = address if purpose is Purpose.RESET else f"new-{address}"
        self.service.parts.database.transact(
            lambda tx: issue(tx, token, user, to, now), Deadline.after(10), settle=last_counts
        )
        return user, token

    def _proving(self, user: User, method: str, **fields: str) -> Operation:
        def effects() -> int:
            def generation(tx: Transaction) -> int:
                found = tx.users.by_id(user.id)
                assert found
                return found.secret_generation

            return self._read(generation)

        return Operation(lambda: self._account().call(method, **fields), effects)

    def _account(self, tokens: SessionTokens | None = None) -> Account:
        return Account(self.channel, tokens.access_token if tokens else "")

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
