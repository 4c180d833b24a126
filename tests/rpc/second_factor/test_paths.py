"""M7: every path to an access token tells the truth about how its user was proved, and none leads around a factor."""

from collections.abc import Callable

import pytest
from google.protobuf.descriptor import FieldDescriptor

from tests.contract import SERVED, fields, path_of
from tests.observed import PASSWORD, refresh, refusal
from tests.rpc.second_factor.people import Person

APP, RECOVERY = ["pwd", "otp", "mfa"], ["pwd", "mfa"]


def by_app(person: Person) -> None:
    person.complete(person.challenge(), person.code())


def by_recovery_code(person: Person) -> None:
    person.complete(person.challenge(), person.recovery_codes[0])


def by_refresh(person: Person) -> None:
    by_app(person)
    person.tokens = refresh(person.stub, person.tokens.refresh_token)


def by_refresh_after_a_recovery_code(person: Person) -> None:
    by_recovery_code(person)
    person.tokens = refresh(person.stub, person.tokens.refresh_token)


def by_step_up(person: Person) -> None:
    by_recovery_code(person)
    person.step_up(code=person.code())


def by_step_up_with_a_recovery_code(person: Person) -> None:
    by_app(person)
    person.step_up(code=person.recovery_codes[0])


PATHS: dict[str, tuple[list[tuple[Callable[[Person], None], list[str]]], str]] = {
    "/authapi.v1.AuthService/Login": ([], "answers a challenge: test_login.py"),
    "/authapi.v1.AuthService/CompleteLogin": ([(by_app, APP), (by_recovery_code, RECOVERY)], ""),
    "/authapi.v1.AuthService/LoginWithPasskey": ([], "needs a device: rpc/passkeys/test_login.py"),
    "/authapi.v1.AuthService/Refresh": ([(by_refresh, APP), (by_refresh_after_a_recovery_code, RECOVERY)], ""),
    "/authapi.v1.AuthService/StepUp": ([(by_step_up, APP), (by_step_up_with_a_recovery_code, APP)], ""),
}
"""Each RPC that answers with an access token: the ways of a user with a second factor, and what is true of each."""
WAYS = [(way, methods) for ways, _ in PATHS.values() for way, methods in ways]


def is_access_token(field: FieldDescriptor) -> bool:
    return field.name == "access_token"


def test_m7_every_rpc_that_answers_with_an_access_token_is_in_the_table() -> None:
    found = {path_of(method) for method in SERVED if any(map(is_access_token, fields(method.output_type)))}
    assert found == PATHS.keys()


@pytest.mark.parametrize(("way", "methods"), WAYS, ids=[way.__name__ for way, _ in WAYS])
def test_m7_an_access_token_is_true_to_how_its_user_was_proved(
    person: Person, way: Callable[[Person], None], methods: list[str]
) -> None:
    way(person)
    assert person.is_proved_by() == methods


def test_m7_a_password_alone_brings_a_user_with_a_second_factor_no_token(person: Person) -> None:
    answer = person.ask()
    assert not answer.HasField("tokens")
    assert refusal(person.step_up, password=PASSWORD).reason == "MFA_REQUIRED"
