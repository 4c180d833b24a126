"""Users and sessions to measure with, made through the stores:

logging in thousands of times would take minutes of bcrypt.
"""

from dataclasses import dataclass

from authapi.v1 import auth_service_pb2 as api

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.domain.user import User
from authservice.ports import AuthStores, last_counts
from authservice.storage import schema
from authservice.storage.engine import open_engine
from authservice.usecases.auth.register import Registration
from authservice.usecases.steps.open_session import new_session
from benchmarks.flood import Request

PASSWORD = "quiet copper lantern 47 rivers"
USER = "bench"
_PER_TRANSACTION = 1000


@dataclass(frozen=True, slots=True)
class Seeded:
    """Tokens of live sessions, each of a session of its own."""

    access_tokens: list[str]
    refresh_tokens: list[str]

    def verify_requests(self) -> list[Request]:
        """Return a Verify request per session."""
        return [(api.VerifyRequest(access_token=token).SerializeToString(), None) for token in self.access_tokens]

    def refresh_requests(self) -> list[Request]:
        """Return a Refresh request per session. Each can be used once."""
        return [(api.RefreshRequest(refresh_token=token).SerializeToString(), None) for token in self.refresh_tokens]

    def logout_requests(self) -> list[Request]:
        """Return a Logout request per session. Each can be used once."""
        return [(b"", token) for token in self.access_tokens]


def login_request() -> bytes:
    """Return a Login request of the seeded user."""
    return api.LoginRequest(user_name_or_email=USER, password=PASSWORD).SerializeToString()


def seed(settings: Settings, sessions: int) -> Seeded:
    """Migrate the database, register the user if there is none, and open sessions."""
    engine = open_engine(settings.database_address().get_secret_value(), pool_size=1)
    schema.migrate(engine)
    engine.dispose()
    service = bootstrap.assemble(settings)
    deadline = Deadline.after(600)
    user = service.auth.register(Registration(USER, PASSWORD, idempotency_key="benchmark-of-this-run"), deadline)
    seeded = Seeded([], [])
    while len(seeded.access_tokens) < sessions:
        _open(service, user, min(_PER_TRANSACTION, sessions - len(seeded.access_tokens)), seeded, deadline)
    service.close()
    return seeded


def _open(service: bootstrap.Service, user: User, count: int, seeded: Seeded, deadline: Deadline) -> None:
    opening, now = service.auth.login.open_session, service.parts.clock()
    opened = []
    for _ in range(count):
        session_id = opening.new_id()
        refresh = opening.refresh_tokens.first(session_id)
        session = new_session(session_id, user, "benchmark", refresh, opening.limits, now)
        tokens = opening.issue_tokens(user, session, refresh, now)
        seeded.access_tokens.append(tokens.access_token)
        seeded.refresh_tokens.append(tokens.refresh_token)
        opened.append(session)

    def store(tx: AuthStores) -> None:
        for session in opened:
            tx.sessions.add(session)

    opening.database.transact(store, deadline, settle=last_counts)
