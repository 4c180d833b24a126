"""People with phones: users who set up an authenticator app, and log in with its codes."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
import pyotp
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from authapi.v1 import second_factor_pb2 as factor_api

from tests.conftest import SettableClock
from tests.observed import PASSWORD, register
from tests.rpc.account.calling import Account, bearer

STEP = timedelta(seconds=30)


@dataclass
class Person:
    """A registered user. Codes are those of the moment at which the clock stands.

    Attributes:
        tokens: of the session that the person uses.
        recovery_codes: as they were shown last.
    """

    channel: grpc.Channel
    clock: SettableClock
    name: str = "ada"
    tokens: api.SessionTokens = field(default_factory=api.SessionTokens)
    recovery_codes: list[str] = field(default_factory=list)
    app: Any = None

    @property
    def stub(self) -> rpc.AuthServiceStub:
        return rpc.AuthServiceStub(self.channel)

    @property
    def account(self) -> Account:
        return Account(self.channel, self.tokens.access_token)

    def code(self, steps: int = 0) -> str:
        """Return the code of the app, or of so many steps later."""
        return str(self.app.at(self.clock.now + steps * STEP))

    def next_code(self) -> str:
        """Wait for the next step and return its code."""
        self.clock.now += STEP
        return self.code()

    def ask(self, password: str = PASSWORD, **fields: Any) -> api.LoginResponse:
        """Log in by password, and return what the service says."""
        return self.stub.Login(api.LoginRequest(user_name_or_email=self.name, password=password, **fields))

    def challenge(self) -> factor_api.Challenge:
        """Log in by password, and return what is asked for."""
        answer = self.ask()
        assert not answer.HasField("tokens")
        assert not answer.user_id
        return answer.challenge

    def complete(self, challenge: factor_api.Challenge, code: str) -> api.CompleteLoginResponse:
        """Meet a challenge, and go on with its session."""
        token = challenge.challenge_token
        answer = self.stub.CompleteLogin(api.CompleteLoginRequest(challenge_token=token, code=code), timeout=30)
        self.tokens = answer.tokens
        self.recovery_codes = list(answer.recovery_codes) or self.recovery_codes
        return answer

    def step_up(self, **proof: Any) -> str:
        """Prove once more who this is, and go on with the new access token."""
        metadata = bearer(self.tokens.access_token)
        answer = self.stub.StepUp(api.StepUpRequest(**proof), metadata=metadata, timeout=30)
        self.tokens.access_token = answer.access_token
        return str(answer.access_token)

    def enroll(self, enrollment: factor_api.TotpEnrollment | None = None) -> None:
        """Have the app make codes."""
        self.app = pyotp.parse_uri((enrollment or self.account.call("EnrollTotp").enrollment).uri)

    def set_up(self) -> "Person":
        """Set the app up, and let the code that was used for that go by."""
        self.enroll()
        self.recovery_codes = list(self.account.call("ConfirmTotp", code=self.code()).recovery_codes)
        self.clock.now += STEP
        return self

    def is_proved_by(self) -> list[str]:
        """Return how the service says that this person was proved."""
        identity = self.stub.Verify(api.VerifyRequest(access_token=self.tokens.access_token)).identity
        return list(identity.auth_methods)


def a_person(channel: grpc.Channel, clock: SettableClock, name: str = "ada") -> Person:
    """Register somebody, with a session."""
    person = Person(channel, clock, name)
    register(person.stub, name)
    person.tokens = person.ask().tokens
    return person
