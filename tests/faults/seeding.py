"""Many users and sessions in little time: written by the same parts that the server has, without a hash for each."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyotp
from uuid6 import uuid7

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.session import PASSWORD_ALONE, Opening, Session
from authservice.domain.tokens import RefreshToken, SessionTokens
from authservice.domain.user import User
from authservice.ports import AuthStores, last_counts
from authservice.usecases.account.finish_passkey_registration import PasskeyRegistration
from authservice.usecases.auth.register import Registration
from authservice.usecases.steps.open_session import new_session
from tests.conftest import CHEAPEST, RecordedAudit
from tests.observed import PASSWORD
from tests.rpc.passkeys.device import Device

SECONDS = 60.0


@dataclass(frozen=True)
class Seeder:
    """Puts users and sessions into a database. Lives as long as its service."""

    service: bootstrap.Service

    def user(self, name: str) -> User:
        """Register a user with the password of all tests."""
        return self.service.auth.register(Registration(name, PASSWORD), Deadline.after(SECONDS))

    def sessions(self, user: User, count: int, how: Opening = Opening()) -> list[SessionTokens]:  # noqa: B008
        """Open sessions in one transaction."""
        opening = self.service.auth.login.open_session
        now = opening.clock()

        def token() -> RefreshToken:
            return opening.refresh_tokens.first(uuid7())

        opened = [
            (new_session(first.session_id, user, how, first, opening.limits, now), first)
            for first in (token() for _ in range(count))
        ]

        def store(tx: AuthStores) -> None:
            for session, _ in opened:
                tx.sessions.add(session)

        opening.database.transact(store, Deadline.after(SECONDS), settle=last_counts)
        return [opening.issue_tokens(user, session, first, now) for session, first in opened]

    def app(self, user: User, *, confirmed: bool = True) -> tuple[Any, Sequence[str]]:
        """Set an authenticator app up, and return it with the recovery codes, none if it is not confirmed."""
        account, (tokens,) = self.service.account, self.sessions(user, 1)
        caller = Caller(user.id, tokens.session_id, self.service.parts.clock(), PASSWORD_ALONE)
        app: Any = pyotp.parse_uri(account.enroll_totp(caller, Deadline.after(SECONDS)).uri)
        if not confirmed:
            return app, ()
        code = str(app.at(self.service.parts.clock()))
        return app, account.confirm_totp(code, caller, Deadline.after(SECONDS))

    def passkey(self, user: User) -> Device:
        """Register a passkey, and return the device that has it."""
        account, (tokens,) = self.service.account, self.sessions(user, 1)
        caller = Caller(user.id, tokens.session_id, self.service.parts.clock(), PASSWORD_ALONE)
        begun, device = account.begin_passkey_registration(caller, Deadline.after(SECONDS)), Device()
        made = PasskeyRegistration(begun.token, device.create(begun.options), "Phone")
        account.finish_passkey_registration(made, caller, Deadline.after(SECONDS))
        return device

    def generation(self, session_id: UUID) -> int:
        """Return how often a session was refreshed."""
        return self.session(session_id).generation

    def session(self, session_id: UUID) -> Session:
        """Return a session as it is stored."""
        found = self.find(session_id)
        assert found
        return found

    def find(self, session_id: UUID) -> Session | None:
        """Return a session as it is stored, if it is."""
        found = self.service.parts.database.read(lambda tx: tx.sessions.get(session_id), Deadline.after(SECONDS))
        return found[0] if found else None


@contextlib.contextmanager
def seeder(settings: Settings) -> Iterator[Seeder]:
    """Yield a seeder for the database in the settings."""
    service = bootstrap.assemble(settings, audit=RecordedAudit(), hash_cost=CHEAPEST)
    try:
        yield Seeder(service)
    finally:
        service.close()
