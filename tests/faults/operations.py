"""The calls that write, each with a way to ask the database what has become of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.tokens import SessionTokens
from authservice.ports import Transaction
from tests.conftest import RecordedAudit
from tests.contract import snake_case
from tests.faults.seeding import Seeder
from tests.observed import login, logout, refresh, register

EVENTS = {
    "Register": events.UserRegistered.name,
    "Login": events.Login.name,
    "Refresh": events.SessionRefreshed.name,
    "Logout": events.Logout.name,
}
"""What is recorded of each call that writes, once and only if it has happened."""
NAMES = tuple(EVENTS)
READING = {"Verify", "GetSigningKeys", "WatchRevocations"}
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

    stub: rpc.AuthServiceStub
    service: bootstrap.Service
    audit: RecordedAudit
    _numbers: "count[int]" = field(default_factory=count)

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
