"""Logging in with a second factor, and every way around it that was tried, on each database."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import second_factor_pb2 as factor_api

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from tests.conftest import RecordedAudit, SettableClock
from tests.observed import PASSWORD, Refusal, logout, refresh, refusal, verify
from tests.rpc.account.calling import Account
from tests.rpc.second_factor.people import STEP, Person, a_person

WRONG = "000000"


def reasons(person: Person, challenge: factor_api.Challenge, code: str, count: int) -> list[str | None]:
    """Return what becomes of so many parallel answers to a challenge."""
    token = challenge.challenge_token

    def answer(_: int) -> str | None:
        try:
            person.stub.CompleteLogin(api.CompleteLoginRequest(challenge_token=token, code=code), timeout=60)
        except grpc.RpcError as error:
            return Refusal(error).reason
        return "OK"

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(answer, range(count)))


def test_a_password_is_answered_with_a_challenge_and_a_code_with_a_session(
    person: Person, audit: RecordedAudit
) -> None:
    challenge = person.challenge()
    assert list(challenge.methods) == [
        factor_api.CHALLENGE_METHOD_TOTP,
        factor_api.CHALLENGE_METHOD_RECOVERY_CODE,
    ]
    assert challenge.expire_time.seconds == pytest.approx(person.clock.now.timestamp() + 300, abs=1)
    assert not challenge.HasField("enrollment")
    logins = audit.count("login")
    answer = person.complete(challenge, person.code())
    assert person.is_proved_by() == ["pwd", "otp", "mfa"]
    assert not answer.recovery_codes
    assert answer.user_id
    assert (audit.count("second_factor_asked"), audit.count("login")) == (1, logins + 1)


def test_a_session_is_opened_as_it_was_asked_for_at_login(person: Person) -> None:
    asked = person.ask(client_label="Firefox", remember=True).challenge
    answer = person.complete(asked, person.code())
    assert answer.tokens.session_expire_time.seconds == pytest.approx(person.clock.now.timestamp() + 30 * 86400, abs=1)
    sessions = person.account.call("ListSessions").sessions
    assert ("Firefox", "127.0.0.1", ["pwd", "otp", "mfa"]) in [
        (each.client_label, each.network, list(each.auth_methods)) for each in sessions
    ]


def test_m3_a_code_is_good_once_also_for_another_challenge_and_in_full_width(person: Person) -> None:
    first, second = person.challenge(), person.challenge()
    code = person.code()
    person.complete(first, code)
    wide = code.translate({ord("0") + digit: ord("０") + digit for digit in range(10)})
    for again in (code, wide, f"{code[:3]} {code[3:]}"):
        assert refusal(person.complete, second, again).reason == "CODE_INVALID"
    assert person.complete(second, person.next_code()).tokens.access_token


def test_m3_the_code_of_setting_up_is_used(newcomer: Person) -> None:
    newcomer.enroll()
    newcomer.account.call("ConfirmTotp", code=newcomer.code())
    assert refusal(newcomer.complete, newcomer.challenge(), newcomer.code()).reason == "CODE_INVALID"


def test_m3_no_older_code_counts_after_a_newer(person: Person) -> None:
    older = person.code()
    person.complete(person.challenge(), person.next_code())
    assert refusal(person.complete, person.challenge(), older).reason == "CODE_INVALID"


def test_m2_codes_of_a_clock_that_is_ahead_and_old_ones_are_refused(person: Person) -> None:
    challenge = person.challenge()
    for steps in (1, 2, -2, -3):
        assert refusal(person.complete, challenge, person.code(steps)).reason == "CODE_INVALID"
    person.clock.now += STEP
    assert person.complete(challenge, person.code(-1)).tokens.access_token


def test_m3_of_many_parallel_uses_of_one_code_one_opens_a_session(person: Person, audit: RecordedAudit) -> None:
    challenges = [person.challenge() for _ in range(10)]
    logins, code = audit.count("login"), person.code()
    with ThreadPoolExecutor(10) as threads:
        found = list(threads.map(lambda each: reasons(person, each, code, 2), challenges))
    told = [reason for pair in found for reason in pair]
    assert told.count("OK") == 1
    assert set(told) <= {"OK", "CODE_INVALID", "CHALLENGE_OVER", "THROTTLED"}
    assert audit.count("login") == logins + 1


def test_m4_a_challenge_takes_five_codes_however_many_come_at_once(person: Person, audit: RecordedAudit) -> None:
    challenge = person.challenge()
    told = reasons(person, challenge, WRONG, 40)
    assert told.count("CODE_INVALID") == 5
    assert told.count("CHALLENGE_OVER") + told.count("THROTTLED") == 35
    assert audit.count("code_refused") == 5
    person.clock.advance(seconds=31)
    assert refusal(person.complete, challenge, person.code()).reason == "CHALLENGE_OVER", "the right one comes too late"
    assert person.complete(person.challenge(), person.code()).tokens.access_token, "the owner's own login goes on"


def test_m5_a_challenge_is_good_once_and_for_five_minutes(person: Person) -> None:
    challenge, late = person.challenge(), person.challenge()
    person.complete(challenge, person.code())
    assert refusal(person.complete, challenge, person.next_code()).reason == "CHALLENGE_OVER"
    person.clock.advance(minutes=5)
    assert refusal(person.complete, late, person.code()).reason == "CHALLENGE_OVER"


def test_m5_no_subset_or_other_order_of_factors_opens_a_session(person: Person, audit: RecordedAudit) -> None:
    logins, code = audit.count("login"), person.code()
    for password in ("wrong horse battery staple", code, person.recovery_codes[0]):
        assert refusal(person.ask, password).reason == "CREDENTIALS_INVALID"
    challenge = person.challenge()
    for text in (PASSWORD, WRONG, "x", person.tokens.access_token[:64]):
        assert refusal(person.complete, challenge, text).reason == "CODE_INVALID"
    for token in ("x", "ch1." + "A" * 64, person.tokens.refresh_token, person.tokens.access_token):
        made_up = factor_api.Challenge(challenge_token=token)
        assert refusal(person.complete, made_up, code).reason == "CHALLENGE_OVER"
    assert refusal(person.complete, challenge, "").violations.keys() == {"code"}
    assert refusal(person.complete, factor_api.Challenge(), code).violations.keys() == {"challenge_token"}
    assert audit.count("login") == logins


def test_m5_t7_the_token_of_a_challenge_is_good_for_nothing_else(person: Person) -> None:
    token = person.challenge().challenge_token
    assert refusal(verify, person.stub, token).reason == "TOKEN_INVALID"
    assert refusal(refresh, person.stub, token).reason == "TOKEN_INVALID"
    assert refusal(logout, person.stub, token).reason == "TOKEN_INVALID"
    assert refusal(Account(person.channel, token).call, "ListFactors").reason == "TOKEN_INVALID"


def test_m5_another_users_code_and_challenge_do_not_go_together(
    person: Person, channel: grpc.Channel, clock: SettableClock
) -> None:
    other = a_person(channel, clock, "eve").set_up()
    assert refusal(person.complete, person.challenge(), other.code()).reason == "CODE_INVALID"
    assert refusal(person.complete, person.challenge(), other.recovery_codes[0]).reason == "CODE_INVALID"


def test_m6_a_challenge_is_void_once_what_proves_its_user_has_changed(person: Person) -> None:
    person.complete(person.challenge(), person.code())
    before = person.challenge()
    code = person.next_code()
    person.account.call("RemoveTotp")
    assert refusal(person.complete, before, code).reason == "CHALLENGE_OVER"
    assert person.ask().HasField("tokens"), "the password alone is enough again"


def test_m8_a_recovery_code_is_good_once_in_place_of_one_of_the_app(person: Person, audit: RecordedAudit) -> None:
    typed = person.recovery_codes[0].upper().replace("-", " ")
    person.complete(person.challenge(), typed)
    assert person.is_proved_by() == ["pwd", "mfa"]
    assert audit.count("recovery_code_used") == 1
    assert refusal(person.complete, person.challenge(), person.recovery_codes[0]).reason == "CODE_INVALID"
    assert person.account.call("ListFactors").recovery_codes_left == 9
    for code in person.recovery_codes[1:]:
        person.complete(person.challenge(), code)
    assert person.account.call("ListFactors").recovery_codes_left == 0


def test_s7_a_user_who_was_disabled_meanwhile_gets_no_session(person: Person, service: bootstrap.Service) -> None:
    challenge = person.challenge()
    service.admin.operate_users.disable("ada", Deadline.after(10))
    assert refusal(person.complete, challenge, person.code()).reason == "CHALLENGE_OVER"
