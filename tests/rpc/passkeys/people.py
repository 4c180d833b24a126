"""People with devices: users who register passkeys, and log in with them."""

from dataclasses import dataclass, field

from authapi.v1 import account_service_pb2 as account_api
from authapi.v1 import auth_service_pb2 as api

from tests.rpc.passkeys.device import Device, Key
from tests.rpc.second_factor.people import Person


@dataclass
class Owner(Person):
    """A registered user with a device."""

    device: Device = field(default_factory=Device)

    def register_passkey(self, name: str = "Phone") -> account_api.FinishPasskeyRegistrationResponse:
        """Have the device make a passkey, and register it."""
        asked = self.account.call("BeginPasskeyRegistration").ceremony
        return self.finish(asked.ceremony_token, self.device.create(asked.options_json), name)

    def finish(self, token: str, credential: str, name: str = "Phone") -> account_api.FinishPasskeyRegistrationResponse:
        """Register what a device has made."""
        kept: account_api.FinishPasskeyRegistrationResponse = self.account.call(
            "FinishPasskeyRegistration", ceremony_token=token, credential_json=credential, name=name
        )
        self.recovery_codes = list(kept.recovery_codes) or self.recovery_codes
        return kept

    def passkeys(self) -> list[account_api.Factor]:
        """Return the passkeys that the service knows."""
        return [each for each in self.account.call("ListFactors").factors if each.passkey_id]

    def signed(self, key: Key | None = None) -> api.PasskeyProof:
        """Have the device sign for whoever it belongs to."""
        asked = self.stub.BeginPasskeyLogin(api.BeginPasskeyLoginRequest()).ceremony
        return api.PasskeyProof(
            ceremony_token=asked.ceremony_token, credential_json=self.device.get(asked.options_json, key)
        )

    def log_in(self, passkey: api.PasskeyProof | None = None, **fields: object) -> api.SessionTokens:
        """Log in by a passkey alone, and go on with that session."""
        request = api.LoginWithPasskeyRequest(passkey=passkey or self.signed(), **fields)  # type: ignore[arg-type]
        self.tokens = self.stub.LoginWithPasskey(request, timeout=30).tokens
        return self.tokens

    def complete_by_passkey(self, key: Key | None = None) -> api.CompleteLoginResponse:
        """Log in by password and passkey, and go on with that session."""
        challenge = self.challenge()
        answer = self.device.get(challenge.passkey_options_json, key)
        return self.meet(challenge.challenge_token, answer)

    def meet(self, challenge_token: str, answer: str) -> api.CompleteLoginResponse:
        """Meet a challenge with the answer of a browser."""
        request = api.CompleteLoginRequest(challenge_token=challenge_token, passkey_json=answer)
        completed = self.stub.CompleteLogin(request, timeout=30)
        self.tokens = completed.tokens
        return completed
