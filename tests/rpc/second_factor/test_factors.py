"""Setting second factors up, looking at them, and taking them away, on each database."""

import pyotp
import pytest
from authapi.v1 import account_service_pb2 as api

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from tests.conftest import RecordedAudit, SettableClock
from tests.observed import refresh, refusal, verify
from tests.rpc.second_factor.people import STEP, Person, a_person


def test_an_app_is_set_up_by_its_first_code(newcomer: Person, audit: RecordedAudit) -> None:
    assert newcomer.account.call("ListFactors") == api.ListFactorsResponse()
    enrollment = newcomer.account.call("EnrollTotp").enrollment
    assert enrollment.qr_png.startswith(b"\x89PNG")
    assert b"<svg" in enrollment.qr_svg
    newcomer.enroll(enrollment)
    assert (newcomer.app.name, newcomer.app.issuer) == ("ada", "authservice")
    codes = newcomer.account.call("ConfirmTotp", code=newcomer.code()).recovery_codes
    assert len(set(codes)) == 10
    found = newcomer.account.call("ListFactors")
    (factor,) = found.factors
    assert factor.kind == api.FACTOR_KIND_TOTP
    assert factor.create_time.seconds == pytest.approx(newcomer.clock.now.timestamp(), abs=1)
    assert found.recovery_codes_left == 10
    assert audit.count("totp_enrolled") == 1


def test_m6_nothing_is_asked_for_before_the_first_code(newcomer: Person) -> None:
    newcomer.enroll()
    assert newcomer.ask().HasField("tokens")
    assert newcomer.account.call("ListFactors") == api.ListFactorsResponse()
    assert refusal(newcomer.account.call, "ConfirmTotp", code="000000").reason == "CODE_INVALID"
    assert newcomer.ask().HasField("tokens")


def test_m6_a_secret_is_void_after_ten_minutes_and_after_another(newcomer: Person) -> None:
    newcomer.enroll()
    first = newcomer.code()
    newcomer.enroll()
    assert refusal(newcomer.account.call, "ConfirmTotp", code=first).reason == "CODE_INVALID"
    newcomer.clock.advance(minutes=10)
    assert refusal(newcomer.account.call, "ConfirmTotp", code=newcomer.code()).reason == "SECOND_FACTOR_MISSING"


def test_m6_an_old_session_sets_nothing_up_and_takes_nothing_away(person: Person, newcomer: Person) -> None:
    person.complete(person.challenge(), person.code())
    person.clock.advance(minutes=6)
    for method in ("EnrollTotp", "RemoveTotp", "RegenerateRecoveryCodes"):
        assert refusal(person.account.call, method).reason == "AUTHENTICATION_TOO_OLD"
    person.step_up(code=person.code())
    assert refusal(person.account.call, "EnrollTotp").reason == "SECOND_FACTOR_EXISTS"
    assert refusal(person.account.call, "ConfirmTotp", code=person.next_code()).reason == "SECOND_FACTOR_EXISTS"
    assert person.account.call("RemoveTotp").ended_sessions == 1


def test_m4_codes_are_counted_while_an_app_is_set_up_too(newcomer: Person) -> None:
    newcomer.enroll()
    for _ in range(5):
        assert refusal(newcomer.account.call, "ConfirmTotp", code="000000").reason == "CODE_INVALID"
    assert refusal(newcomer.account.call, "ConfirmTotp", code=newcomer.code()).reason == "THROTTLED"


def test_setting_up_ends_nothing_and_raises_the_session_that_did_it(newcomer: Person) -> None:
    other = newcomer.ask().tokens
    newcomer.set_up()
    assert verify(newcomer.stub, other.access_token).session_id == other.session_id
    newcomer.tokens = refresh(newcomer.stub, newcomer.tokens.refresh_token)
    assert newcomer.is_proved_by() == ["pwd", "otp", "mfa"]
    other = refresh(newcomer.stub, other.refresh_token)
    assert list(verify(newcomer.stub, other.access_token).auth_methods) == ["pwd"], "true to what happened there"


def test_s7_removing_an_app_ends_every_other_session(person: Person, audit: RecordedAudit) -> None:
    other = person.complete(person.challenge(), person.code()).tokens
    mine = person.complete(person.challenge(), person.next_code()).tokens
    ended = person.account.call("RemoveTotp").ended_sessions
    assert ended == 2, "the other one, and that in which the app was set up"
    assert refusal(verify, person.stub, other.access_token).reason == "SESSION_ENDED"
    assert refusal(refresh, person.stub, other.refresh_token).reason == "SESSION_ENDED"
    assert refusal(verify, person.stub, mine.access_token).reason == "TOKEN_OUTDATED", "it tells of two factors"
    person.tokens = refresh(person.stub, mine.refresh_token)
    assert person.tokens.session_id == mine.session_id
    assert person.is_proved_by() == ["pwd", "otp"]
    assert person.account.call("ListFactors") == api.ListFactorsResponse()
    for method in ("RemoveTotp", "RegenerateRecoveryCodes"):
        assert refusal(person.account.call, method).reason == "MFA_REQUIRED"
    assert audit.count("totp_removed") == 1


def test_an_app_that_was_removed_can_be_set_up_anew(person: Person) -> None:
    person.complete(person.challenge(), person.code())
    old = person.app
    person.account.call("RemoveTotp")
    person.tokens = refresh(person.stub, person.tokens.refresh_token)
    person.set_up()
    challenge = person.challenge()
    assert refusal(person.complete, challenge, str(old.at(person.clock.now))).reason == "CODE_INVALID"
    assert person.complete(challenge, person.code()).tokens.access_token


def test_m8_new_recovery_codes_void_the_old(person: Person, audit: RecordedAudit) -> None:
    person.complete(person.challenge(), person.code())
    old, new = person.recovery_codes, person.account.call("RegenerateRecoveryCodes").recovery_codes
    assert not set(old) & set(new)
    challenge = person.challenge()
    assert refusal(person.complete, challenge, old[0]).reason == "CODE_INVALID"
    assert person.complete(challenge, new[0]).tokens.access_token
    assert audit.count("recovery_codes_replaced") == 1


def test_a2_nobody_reaches_the_factors_of_somebody_else(person: Person, clock: SettableClock) -> None:
    other = a_person(person.channel, clock, "eve").set_up()
    other.complete(other.challenge(), other.code())
    other.account.call("RegenerateRecoveryCodes")
    other.account.call("RemoveTotp")
    other.tokens = refresh(other.stub, other.tokens.refresh_token)
    assert other.account.call("ListFactors") == api.ListFactorsResponse()
    found = person.account.call("ListFactors")
    assert (len(found.factors), found.recovery_codes_left) == (1, 10)
    assert person.complete(person.challenge(), person.code()).tokens.access_token


def test_the_secret_that_is_shown_is_the_one_that_the_codes_are_made_with(newcomer: Person) -> None:
    enrollment = newcomer.account.call("EnrollTotp").enrollment
    typed = pyotp.TOTP(enrollment.secret)
    newcomer.clock.now += STEP
    assert newcomer.account.call("ConfirmTotp", code=typed.at(newcomer.clock.now)).recovery_codes


def test_s7_an_operator_helps_who_has_lost_phone_and_codes(
    person: Person, service: bootstrap.Service, audit: RecordedAudit
) -> None:
    before = person.challenge()
    operate = service.admin.operate_users
    assert operate.remove_second_factor("ADA", Deadline.after(30)) == 1
    assert refusal(verify, person.stub, person.tokens.access_token).reason == "SESSION_ENDED"
    assert refusal(person.complete, before, person.code()).reason == "CHALLENGE_OVER"
    person.tokens = person.ask().tokens
    assert person.is_proved_by() == ["pwd"]
    assert person.account.call("ListFactors") == api.ListFactorsResponse()
    assert operate.remove_second_factor("ada", Deadline.after(30)) is None
    assert audit.count("second_factor_removed_by_operator") == 1
