"""The calls about second factors."""

from uuid import UUID

from authapi.v1 import auth_service_pb2 as api

from authservice.domain import events
from authservice.domain.challenge import IssuedChallenge
from authservice.domain.deadline import Deadline
from authservice.domain.session import Opening
from authservice.domain.user import User
from authservice.ports import Transaction, last_counts
from authservice.usecases.auth.login import Credentials
from tests.faults.operations.area import Area, Operation
from tests.faults.seeding import Seeder
from tests.observed import PASSWORD
from tests.rpc.account.calling import Account, bearer

EVENTS = {
    "CompleteLogin": events.Login.name,
    "StepUp": events.SteppedUp.name,
    "EnrollTotp": events.TotpShown.name,
    "ConfirmTotp": events.TotpEnrolled.name,
    "RemoveTotp": events.TotpRemoved.name,
    "RegenerateRecoveryCodes": events.RecoveryCodesReplaced.name,
}


class FactorOperations(Area):
    """Sets apps up, takes them away, and uses their codes."""

    def _complete_login(self) -> Operation:
        seeds = Seeder(self.service)
        _, codes = seeds.app(user := seeds.user(self._name()))
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

    def _enroll_totp(self) -> Operation:
        user, account, _ = self._account()
        return Operation(
            lambda: account.call("EnrollTotp"),
            lambda: self._read(lambda tx: int(tx.totp_factors.get(user.id) is not None)),
        )

    def _confirm_totp(self) -> Operation:
        user, account, _ = self._account()
        app, _ = Seeder(self.service).app(user, confirmed=False)
        self.audit.events.clear()
        return Operation(
            lambda: account.call("ConfirmTotp", code=app.at(self.service.parts.clock())),
            lambda: self._read(lambda tx: int(_has_app(tx, user.id))),
        )

    def _remove_totp(self) -> Operation:
        user, account = self._with_app()
        return Operation(
            lambda: account.call("RemoveTotp"), lambda: self._read(lambda tx: int(not _has_app(tx, user.id)))
        )

    def _regenerate_recovery_codes(self) -> Operation:
        user, account = self._with_app()
        now = self.service.parts.clock()
        self.service.parts.database.transact(
            lambda tx: tx.recovery_codes.replace(user.id, [b"kept"], now), Deadline.after(10), settle=last_counts
        )
        return Operation(
            lambda: account.call("RegenerateRecoveryCodes"),
            lambda: self._read(lambda tx: int(tx.recovery_codes.count(user.id) == 10)),
        )

    def _with_app(self) -> tuple[User, Account]:
        """Return a new user with an app, and what calls from a session with two factors."""
        seeds = Seeder(self.service)
        seeds.app(user := seeds.user(self._name()))
        (tokens,) = seeds.sessions(user, 1, Opening(auth_methods=("pwd", "otp", "mfa")))
        self.audit.events.clear()
        return user, Account(self.channel, tokens.access_token)


def _has_app(tx: Transaction, user_id: UUID) -> bool:
    found = tx.totp_factors.get(user_id)
    return found is not None and found.is_confirmed
