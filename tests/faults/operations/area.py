"""What the calls of every area need: a database that fails, and a service that looks past that."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

import grpc
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.domain.tokens import SessionTokens
from authservice.domain.user import User
from authservice.ports import Transaction
from tests.conftest import RecordedAudit
from tests.contract import snake_case
from tests.faults.seeding import Seeder
from tests.rpc.account.calling import Account


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
class Area:
    """Makes fresh operations of some calls. `service` looks at the database past any fault."""

    channel: grpc.Channel
    service: bootstrap.Service
    audit: RecordedAudit
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def stub(self) -> rpc.AuthServiceStub:
        """What calls AuthService."""
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

    def is_live(self, session_id: UUID) -> bool:
        """Tell whether a session is live."""
        return bool(self._read(lambda tx: _is_live(tx, session_id, self.service)))

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

    def _name(self) -> str:
        return f"user{next(self._numbers)}"

    def _read(self, work: Callable[[Transaction], int]) -> int:
        return self.service.parts.database.read(work, Deadline.after(10))


def _is_live(tx: Transaction, session_id: UUID, service: bootstrap.Service) -> bool:
    found = tx.sessions.get(session_id)
    assert found, "a session without its row"
    return found[0].is_live(service.parts.clock())
