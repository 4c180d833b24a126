"""The calls of AuthService that write, but those of second factors."""

from authservice.domain import events
from tests.faults.operations.area import Area, Operation
from tests.faults.seeding import Seeder
from tests.observed import login, logout, refresh, register

EVENTS = {
    "Register": events.UserRegistered.name,
    "Login": events.Login.name,
    "Refresh": events.SessionRefreshed.name,
    "Logout": events.Logout.name,
}


class AuthOperations(Area):
    """Registers, logs in and out, and refreshes."""

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
