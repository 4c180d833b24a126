"""The calls that write, each with a way to ask the database what has become of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

import grpc
from authapi.v1 import account_service_pb2 as account_api
from authapi.v1 import account_service_pb2_grpc as account_rpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from google.protobuf.message import Message

from authservice import bootstrap
from authservice.domain import events
from authservice.domain.challenge import IssuedChallenge
from authservice.domain.deadline import Deadline
from authservice.domain.tokens import SessionTokens
from authservice.domain.user import User
from authservice.ports import Transaction
from authservice.usecases.auth.login import Credentials
from tests.conftest import RecordedAudit
from tests.contract import snake_case
from tests.faults.seeding import Seeder
from tests.observed import PASSWORD, login, logout, refresh, register
from tests.rpc.account.calling import bearer

EVENTS = {
    "Register": events.UserRegistered.name,
    "Login": events.Login.name,
    "Refresh": events.SessionRefreshed.name,
    "Logout": events.Logout.name,
    "CompleteLogin": events.Login.name,
    "StepUp": events.SteppedUp.name,
    "RevokeSession": events.SessionRevoked.name,
    "RevokeOtherSessions": events.OtherSessionsRevoked.name,
    "EnrollTotp": events.TotpShown.name,
    "ConfirmTotp": events.TotpEnrolled.name,
    "RemoveTotp": events.TotpRemoved.name,
    "RegenerateRecoveryCodes": events.RecoveryCodesReplaced.name,
}
"""What is recorded of each call that writes, once and only if it has happened."""
NAMES = tuple(EVENTS)
READING = {"Verify", "ListSessions", "ListFactors", "GetSigningKeys", "WatchRevocations"}
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
        """The AuthService on the faulty database."""
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

    def _complete_login(self) -> Operation:
        user = Seeder(self.service).user(self._name())
        _, codes = Seeder(self.service).app(user)
        issued = self.service.auth.login(Credentials(user.name.typed, PASSWORD), Deadline.after(10))
        assert isinstance(issued, IssuedChallenge)
        self.audit.events.clear()
        now = self.service.parts.clock()
        request = api.CompleteLoginRequest(challenge_token=issued.text, code=codes[0])
        return Operation(
            lambda: self.stub.CompleteLogin(request),
            lambda: self._read(lambda tx: tx.sessions.count_live(user.id, now)) - 1,
        )

    def _step_up(self) -> Operation:
        seeds = Seeder(self.service)
        user = seeds.user(self._name())
        (tokens,), (_, codes) = seeds.sessions(user, 1), seeds.app(user)
        self.audit.events.clear()
        return Operation(
            lambda: self.stub.StepUp(api.StepUpRequest(code=codes[0]), metadata=bearer(tokens.access_token)),
            lambda: int("mfa" in seeds.session(tokens.session_id).auth_methods),
        )

    def _revoke_session(self) -> Operation:
        mine, other = self._pair()
        request = account_api.RevokeSessionRequest(session_id=str(other.session_id))
        return self._of_account("RevokeSession", request, mine, lambda: int(not self.is_live(other.session_id)))

    def _revoke_other_sessions(self) -> Operation:
        mine, other = self._pair()
        request = account_api.RevokeOtherSessionsRequest()
        return self._of_account("RevokeOtherSessions", request, mine, lambda: int(not self.is_live(other.session_id)))

    def _enroll_totp(self) -> Operation:
        mine, _ = self._pair()
        return self._of_account(
            "EnrollTotp",
            account_api.EnrollTotpRequest(),
            mine,
            lambda: self._read(lambda tx: int(tx.totp_factors.get(mine.user_id) is not None)),
        )

    def _confirm_totp(self) -> Operation:
        seeds = Seeder(self.service)
        user = seeds.user(self._name())
        (mine,), (app, _) = seeds.sessions(user, 1), seeds.app(user, confirmed=False)
        self.audit.events.clear()
        return self._of_account(
            "ConfirmTotp",
            account_api.ConfirmTotpRequest(code=app.at(self.service.parts.clock())),
            mine,
            lambda: self._read(lambda tx: int(_has_app(tx, user.id))),
        )

    def _remove_totp(self) -> Operation:
        user, mine = self._person()
        request = account_api.RemoveTotpRequest()
        return self._of_account(
            "RemoveTotp", request, mine, lambda: self._read(lambda tx: int(not _has_app(tx, user.id)))
        )

    def _regenerate_recovery_codes(self) -> Operation:
        user, mine = self._person()
        now = self.service.parts.clock()

        def keep_one(tx: Transaction) -> int:
            tx.recovery_codes.replace(user.id, [b"kept"], now)
            return tx.recovery_codes.count(user.id)

        self._read(keep_one)
        request = account_api.RegenerateRecoveryCodesRequest()
        return self._of_account(
            "RegenerateRecoveryCodes",
            request,
            mine,
            lambda: self._read(lambda tx: int(tx.recovery_codes.count(user.id) == 10)),
        )

    def _pair(self) -> tuple[SessionTokens, SessionTokens]:
        """Return the tokens of two new sessions of a new user."""
        seeds = Seeder(self.service)
        mine, other = seeds.sessions(seeds.user(self._name()), 2)
        self.audit.events.clear()
        return mine, other

    def _person(self) -> tuple[User, SessionTokens]:
        """Return a new user with an app, and the tokens of a session with two factors."""
        seeds = Seeder(self.service)
        user = seeds.user(self._name())
        seeds.app(user)
        (mine,) = seeds.sessions(user, 1, ("pwd", "otp", "mfa"))
        self.audit.events.clear()
        return user, mine

    def _of_account(self, name: str, request: Message, tokens: SessionTokens, effects: Callable[[], int]) -> Operation:
        method = getattr(account_rpc.AccountServiceStub(self.channel), name)
        return Operation(lambda: method(request, metadata=bearer(tokens.access_token)), effects)

    def is_live(self, session_id: UUID) -> bool:
        """Tell whether a session is live."""
        return bool(self._read(lambda tx: _is_live(tx, session_id, self.service)))

    def _name(self) -> str:
        return f"user{next(self._numbers)}"

    def _read(self, work: Callable[[Transaction], int]) -> int:
        return self.service.parts.database.read(work, Deadline.after(10))


def _has_app(tx: Transaction, user_id: UUID) -> bool:
    found = tx.totp_factors.get(user_id)
    return found is not None and found.is_confirmed


def _is_live(tx: Transaction, session_id: UUID, service: bootstrap.Service) -> bool:
    found = tx.sessions.get(session_id)
    assert found, "a session without its row"
    return found[0].is_live(service.parts.clock())
