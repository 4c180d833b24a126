"""Users and sessions to measure with, and the environment of the servers that know them.

They are made from the parts that the server has, but many rows in one statement and one password for all: logging in
thousands of times would take minutes of bcrypt. The only module here that knows the inside of `authservice`.
"""

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from authapi.v1 import auth_service_pb2 as api
from sqlalchemy import Connection, insert, select

from authservice import bootstrap, logs
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.domain.session import Opening
from authservice.domain.user import User
from authservice.storage import schema
from authservice.storage.auth.sessions import to_row
from authservice.storage.tables import metadata
from authservice.usecases.auth.register import Registration
from authservice.usecases.steps.open_session import new_session
from benchmarks.frames import Request

PASSWORD = "quiet copper lantern 47 rivers"
USER = "bench"
SESSIONS_OF_A_USER = 10
"""A user with all the sessions would be an odd one, for the database's optimizer as well."""
_TOKEN_SECONDS = 3600
"""Longer than a measurement takes."""
_ROWS = 1000

Environment: TypeAlias = dict[str, str]
"""The variables that configure a server."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """Tokens of live sessions, each of a session of its own."""

    access_tokens: list[str]
    refresh_tokens: list[str]

    def part(self, begin: int, end: int) -> "Seeded":
        """Return some of the sessions."""
        return Seeded(self.access_tokens[begin:end], self.refresh_tokens[begin:end])

    def verify_requests(self) -> list[Request]:
        """Return a Verify request per session."""
        return [(api.VerifyRequest(access_token=token).SerializeToString(), None) for token in self.access_tokens]

    def refresh_requests(self) -> list[Request]:
        """Return a Refresh request per session. Each can be used once."""
        return [(api.RefreshRequest(refresh_token=token).SerializeToString(), None) for token in self.refresh_tokens]

    def bearer_requests(self) -> list[Request]:
        """Return an empty request per session, with its access token beside it. As a Logout, each can be used once."""
        return [(b"", token) for token in self.access_tokens]


def login_request() -> bytes:
    """Return a Login request of the seeded user."""
    return api.LoginRequest(user_name_or_email=USER, password=PASSWORD).SerializeToString()


def environment(database_url: str, folder: Path, bcrypt_cost: int) -> Environment:
    """Return what a server is started with: this database, `folder` for its files, a master key of its own."""
    return {
        "AUTHSERVICE_DATABASE_URL": database_url,
        "AUTHSERVICE_DATA_DIR": str(folder),
        "AUTHSERVICE_MASTER_KEY": base64.b64encode(os.urandom(32)).decode(),
        "AUTHSERVICE_BCRYPT_COST": str(bcrypt_cost),
        "AUTHSERVICE_ACCESS_TOKEN_SECONDS": str(_TOKEN_SECONDS),
        "AUTHSERVICE_SESSION_IDLE_SECONDS": str(_TOKEN_SECONDS),
    }


def seed(server: Environment, sessions: int) -> Seeded:
    """Fill the empty database of a server with users and this many sessions."""
    named: Any = {name.removeprefix("AUTHSERVICE_").lower(): value for name, value in server.items()}
    settings = Settings(**named)
    logs.configure("warning", "json")  # What the parts have to say about making keys is no part of the table.
    engine = bootstrap.engine_for(settings, pool_size=1)
    schema.migrate(engine)
    service = bootstrap.assemble(settings)
    first = service.auth.register(Registration(USER, PASSWORD), Deadline.after(60))
    seeded = Seeded([], [])
    with engine.connect() as connection:
        while len(seeded.access_tokens) < sessions:
            missing = sessions - len(seeded.access_tokens)
            users = _add_users(connection, service, first, -(-min(missing, _ROWS) // SESSIONS_OF_A_USER))
            _open_sessions(connection, service, users, min(missing, _ROWS), seeded)
            connection.commit()
        if connection.dialect.name != "sqlite":
            # A database that has been in use knows its tables; a new one learns of them at some moment of its own.
            connection.exec_driver_sql("ANALYZE TABLE users, user_roles, sessions")
    service.close()
    engine.dispose()
    return seeded


def _add_users(connection: Connection, service: bootstrap.Service, like: User, count: int) -> list[User]:
    """Add users that have another's password."""
    table = metadata.tables["users"]
    row = dict(connection.execute(select(table).where(table.c.id == like.id)).mappings().one())
    ids = [service.auth.login.open_session.new_id() for _ in range(count)]
    names = [{"id": each, "name": each.hex, "canonical_name": each.hex} for each in ids]
    connection.execute(insert(table), [{**row, **name} for name in names])
    return [User(each, like.name, None, like.password_hash, like.created_at) for each in ids]


def _open_sessions(
    connection: Connection, service: bootstrap.Service, users: list[User], count: int, seeded: Seeded
) -> None:
    """Open sessions, each in turn for the next user."""
    login, now = service.auth.login.open_session, service.parts.clock()
    opened = []
    for number in range(count):
        user, session_id = users[number % len(users)], login.new_id()
        refresh = login.refresh_tokens.first(session_id)
        session = new_session(session_id, user, Opening("benchmark"), refresh, login.limits, now)
        tokens = login.issue_tokens(user, session, refresh, now)
        seeded.access_tokens.append(tokens.access_token)
        seeded.refresh_tokens.append(tokens.refresh_token)
        opened.append(session)
    table = metadata.tables["sessions"]
    connection.execute(insert(table), [to_row(each) for each in opened])
