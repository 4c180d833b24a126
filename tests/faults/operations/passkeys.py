"""The calls about passkeys."""

from authapi.v1 import auth_service_pb2 as api

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.session import PASSWORD_ALONE, Opening
from authservice.domain.user import User
from tests.faults.operations.area import Area, Operation
from tests.faults.seeding import Seeder
from tests.rpc.account.calling import Account
from tests.rpc.passkeys.device import Device

EVENTS = {
    "LoginWithPasskey": events.Login.name,
    "FinishPasskeyRegistration": events.PasskeyAdded.name,
    "RenamePasskey": events.PasskeyRenamed.name,
    "RemovePasskey": events.PasskeyRemoved.name,
}


class PasskeyOperations(Area):
    """Registers passkeys, logs in with them, renames them, and takes them away."""

    def _login_with_passkey(self) -> Operation:
        seeds = Seeder(self.service)
        device = seeds.passkey(user := seeds.user(self._name()))
        self.audit.events.clear()
        # Asked past any fault, so that only the call itself meets one.
        asked = self.service.auth.begin_passkey_login(Deadline.after(10))
        proof = api.PasskeyProof(ceremony_token=asked.token, credential_json=device.get(asked.options))
        now = self.service.parts.clock()
        return Operation(
            lambda: self.stub.LoginWithPasskey(api.LoginWithPasskeyRequest(passkey=proof)),
            lambda: self._read(lambda tx: tx.sessions.count_live(user.id, now)) - 1,
        )

    def _finish_passkey_registration(self) -> Operation:
        user, account, sessions = self._account()
        caller = Caller(user.id, sessions[0].session_id, self.service.parts.clock(), PASSWORD_ALONE)
        asked = self.service.account.begin_passkey_registration(caller, Deadline.after(10))
        made = Device().create(asked.options)
        return Operation(
            lambda: account.call(
                "FinishPasskeyRegistration", ceremony_token=asked.token, credential_json=made, name="Phone"
            ),
            lambda: self._passkeys(user),
        )

    def _rename_passkey(self) -> Operation:
        user, account, passkey_id = self._with_passkey()
        return Operation(
            lambda: account.call("RenamePasskey", passkey_id=passkey_id, name="Old phone"),
            lambda: self._read(lambda tx: int(tx.passkeys.of_user(user.id)[0].name == "Old phone")),
        )

    def _remove_passkey(self) -> Operation:
        user, account, passkey_id = self._with_passkey()
        return Operation(
            lambda: account.call("RemovePasskey", passkey_id=passkey_id), lambda: int(not self._passkeys(user))
        )

    def _with_passkey(self) -> tuple[User, Account, str]:
        """Return a new user with a passkey, what calls from a session with two factors, and the id of the passkey."""
        seeds = Seeder(self.service)
        seeds.passkey(user := seeds.user(self._name()))
        (tokens,) = seeds.sessions(user, 1, Opening(auth_methods=("pop", "mfa")))
        database = self.service.parts.database
        (held,) = database.read(lambda tx: tx.passkeys.of_user(user.id), Deadline.after(10))
        self.audit.events.clear()
        return user, Account(self.channel, tokens.access_token), str(held.id)

    def _passkeys(self, user: User) -> int:
        return self._read(lambda tx: len(tx.passkeys.of_user(user.id)))
