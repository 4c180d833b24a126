"""Raising a session without a new login, and rules that ask for it, on each database."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.conftest import RecordedAudit
from tests.observed import PASSWORD, Refusal, refresh, refusal, verify
from tests.rpc.second_factor.people import Person

WRONG = "000000"


def test_a_password_makes_a_session_fresh_and_leaves_its_refresh_token_as_it_is(
    newcomer: Person, audit: RecordedAudit
) -> None:
    before = verify(newcomer.stub, newcomer.tokens.access_token)
    newcomer.clock.advance(minutes=10)
    assert refusal(newcomer.account.call, "EnrollTotp").reason == "AUTHENTICATION_TOO_OLD"
    stepped = verify(newcomer.stub, newcomer.step_up(password=PASSWORD))
    assert stepped.session_id == before.session_id
    assert stepped.auth_time.seconds == before.auth_time.seconds + 600
    assert list(stepped.auth_methods) == ["pwd"]
    assert newcomer.account.call("EnrollTotp").enrollment.secret
    newcomer.tokens = refresh(newcomer.stub, newcomer.tokens.refresh_token)
    assert verify(newcomer.stub, newcomer.tokens.access_token).auth_time == stepped.auth_time
    assert audit.count("stepped_up") == 1


def test_a_wrong_password_moves_nothing(newcomer: Person, audit: RecordedAudit) -> None:
    newcomer.clock.advance(minutes=10)
    assert refusal(newcomer.step_up, password="wrong horse battery staple").reason == "CREDENTIALS_INVALID"
    assert refusal(newcomer.account.call, "EnrollTotp").reason == "AUTHENTICATION_TOO_OLD"
    assert audit.count("step_up_refused") == 1


def test_m6_a_password_is_not_enough_for_a_user_with_a_second_factor(person: Person) -> None:
    refused = refusal(person.step_up, password=PASSWORD)
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "MFA_REQUIRED")


def test_m7_a_code_makes_a_session_of_one_factor_one_of_two(newcomer: Person) -> None:
    alone = newcomer.ask().tokens  # It goes on with one factor when the app is set up in the other.
    newcomer.set_up()
    for code, methods in ((newcomer.recovery_codes[0], ["pwd", "mfa"]), (newcomer.code(), ["pwd", "otp", "mfa"])):
        newcomer.tokens = alone
        newcomer.clock.advance(seconds=1)
        newcomer.step_up(code=code)
        assert newcomer.is_proved_by() == methods
    assert len(newcomer.account.call("RegenerateRecoveryCodes").recovery_codes) == 10


def test_m7_the_rules_of_mfa_and_of_the_last_minutes_let_in_who_has_stepped_up(newcomer: Person) -> None:
    alone = newcomer.ask().tokens
    newcomer.set_up()
    newcomer.tokens = alone
    assert refusal(newcomer.account.call, "RegenerateRecoveryCodes").reason == "MFA_REQUIRED"
    newcomer.clock.advance(minutes=6)
    newcomer.step_up(code=newcomer.code())
    assert newcomer.account.call("RegenerateRecoveryCodes").recovery_codes
    newcomer.clock.advance(minutes=6)
    assert refusal(newcomer.account.call, "RegenerateRecoveryCodes").reason == "AUTHENTICATION_TOO_OLD"


def test_m3_a_code_is_good_for_one_step_up_or_login(person: Person) -> None:
    code = person.code()
    person.step_up(code=code)
    assert refusal(person.step_up, code=code).reason == "CODE_INVALID"
    assert refusal(person.complete, person.challenge(), code).reason == "CODE_INVALID"


def test_m3_of_parallel_step_ups_with_one_code_one_succeeds(person: Person) -> None:
    code = person.code()

    def step_up(_: int) -> str | None:
        try:
            person.step_up(code=code)
        except grpc.RpcError as error:
            return Refusal(error).reason
        return "OK"

    with ThreadPoolExecutor(5) as threads:
        told = list(threads.map(step_up, range(5)))
    assert told.count("OK") == 1


def test_m4_after_five_wrong_codes_even_the_right_one_has_to_wait(person: Person, audit: RecordedAudit) -> None:
    told = [refusal(person.step_up, code=WRONG).reason for _ in range(5)]
    assert told == ["CODE_INVALID"] * 5
    refused = refusal(person.step_up, code=person.code())
    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "THROTTLED")
    assert refused.retry_after == 1
    assert audit.count("code_refused") == 5
    assert verify(person.stub, person.tokens.access_token).user_id, "the session itself goes on"
    person.clock.advance(seconds=31)
    assert person.step_up(code=person.code())


def test_m4_a_right_code_begins_the_count_anew(person: Person) -> None:
    for _ in range(2):
        for _ in range(4):
            assert refusal(person.step_up, code=WRONG).reason == "CODE_INVALID"
        person.step_up(code=person.next_code())


@pytest.mark.parametrize("proof", [{}, {"password": ""}, {"code": ""}, {"code": "1" * 65}])
def test_what_is_no_proof_is_named(person: Person, proof: dict[str, str]) -> None:
    assert refusal(person.step_up, **proof).violations.keys() == {next(iter(proof), "proof")}


def test_a_code_without_a_second_factor_proves_nothing(newcomer: Person) -> None:
    assert refusal(newcomer.step_up, code=WRONG).reason == "SECOND_FACTOR_MISSING"


def test_other_sessions_are_not_raised(person: Person) -> None:
    mine, other = person.tokens, person.complete(person.challenge(), person.code()).tokens
    person.tokens = mine
    before = verify(person.stub, other.access_token).auth_time
    person.clock.advance(minutes=1)
    person.step_up(code=person.code())
    assert verify(person.stub, other.access_token).auth_time == before
