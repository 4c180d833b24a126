"""What is asked for beside a password, and what a caller does about it."""

from authapi.v1 import second_factor_pb2 as api
from authapi.v1.auth_service_pb2 import StepUpRequest


class SecondFactorNeeded(Exception):
    """The password is right, and a second factor is asked for. Meet the challenge by `Session.complete_login`.

    Attributes:
        challenge: the authapi.v1.Challenge, with `methods` by which it can be met. Where the user has to set an
            authenticator app up first, `enrollment` has what to show them.
    """

    def __init__(self, challenge: api.Challenge) -> None:
        names = ", ".join(map(_name, challenge.methods))
        super().__init__(f"A second factor is needed: {names}. Call complete_login with the challenge and a code.")
        self.challenge = challenge


def is_for_a_code(challenge: api.Challenge) -> bool:
    """Tell whether a code is all that a challenge asks for, and nothing has to be set up or kept."""
    return api.CHALLENGE_METHOD_ENROLL_TOTP not in challenge.methods


def proof(password: str | None, code: str | None) -> StepUpRequest:
    """Return what proves a user, by one of the two. Raises ValueError for both or neither."""
    if password is not None and code is None:
        return StepUpRequest(password=password)
    if code is not None and password is None:
        return StepUpRequest(code=code)
    raise ValueError("A step-up takes a password or a code: one of the two.")


def _name(method: "api.ChallengeMethod.ValueType") -> str:
    known = api.ChallengeMethod.values()
    return api.ChallengeMethod.Name(method).removeprefix("CHALLENGE_METHOD_") if method in known else str(method)
