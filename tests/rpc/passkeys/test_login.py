"""Logging in with passkeys: alone, and beside a password."""

import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from tests.conftest import RecordedAudit, SettableClock
from tests.observed import Refusal, logout, refusal, verify
from tests.rpc.passkeys.conftest import an_owner
from tests.rpc.passkeys.device import Device
from tests.rpc.passkeys.people import Owner
from tests.rpc.second_factor.people import STEP


@pytest.fixture
def person(owner: Owner) -> Owner:
    """Return somebody with a passkey."""
    owner.register_passkey()
    return owner


def test_a_passkey_alone_opens_a_session_with_two_factors(person: Owner, audit: RecordedAudit) -> None:
    tokens = person.log_in(client_label="Firefox", remember=True)
    assert person.is_proved_by() == ["pop", "mfa"]
    listed = {each.session_id: each for each in person.account.call("ListSessions").sessions}
    assert listed[tokens.session_id].client_label == "Firefox"
    assert audit.count("passkey_used") == 1
    (kept,) = person.passkeys()
    assert kept.HasField("last_used_time")


def test_a_browser_is_asked_for_no_name_and_for_a_user_who_is_verified(person: Owner) -> None:
    asked = json.loads(person.stub.BeginPasskeyLogin(api.BeginPasskeyLoginRequest()).ceremony.options_json)
    assert asked["rpId"] == "example.com"
    assert asked["userVerification"] == "required"
    assert not asked.get("allowCredentials")


def test_an_answer_opens_one_session_however_many_send_it(person: Owner, audit: RecordedAudit) -> None:
    proof, logins = person.signed(), audit.count("login")

    def outcome(_: int) -> str:
        try:
            person.stub.LoginWithPasskey(api.LoginWithPasskeyRequest(passkey=proof), timeout=30)
        except grpc.RpcError as error:
            return str(Refusal(error).reason)
        return "OK"

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(outcome, range(16)))
    assert told.count("OK") == 1
    assert set(told) <= {"OK", "CHALLENGE_OVER"}
    assert audit.count("login") == logins + 1
    person.clock.advance(minutes=5)
    assert refusal(person.log_in, proof).reason == "CHALLENGE_OVER"


def test_m5_what_does_not_fit_opens_no_session_and_says_no_more(person: Owner, audit: RecordedAudit) -> None:
    logins = audit.count("login")
    good, other = person.signed(), person.signed()
    stranger = Device()
    stranger.create(person.account.call("BeginPasskeyRegistration").ceremony.options_json)
    asked = person.stub.BeginPasskeyLogin(api.BeginPasskeyLoginRequest()).ceremony
    unknown = api.PasskeyProof(ceremony_token=asked.ceremony_token, credential_json=stranger.get(asked.options_json))
    swapped = api.PasskeyProof(ceremony_token=other.ceremony_token, credential_json=good.credential_json)
    answer = json.loads(good.credential_json)
    answer["response"]["signature"] = answer["response"]["signature"][:-4] + "AAAA"
    forged = api.PasskeyProof(ceremony_token=good.ceremony_token, credential_json=json.dumps(answer))
    told = {refusal(person.log_in, each).message for each in (unknown, swapped, forged)}
    assert len(told) == 1, "the same words for each"
    assert refusal(person.log_in, swapped).reason == "PASSKEY_INVALID"
    assert audit.count("login") == logins
    assert audit.count("passkey_refused") == 4
    for made_up in (api.PasskeyProof(ceremony_token="pk1." + "A" * 75, credential_json=good.credential_json),):
        assert refusal(person.log_in, made_up).reason == "CHALLENGE_OVER"
    assert person.log_in(good).access_token, "and the right one goes on"


def test_a_device_that_does_not_verify_its_owner_is_a_second_factor_and_no_login(person: Owner) -> None:
    person.device.verifies = False
    assert refusal(person.log_in).reason == "PASSKEY_INVALID"
    person.complete_by_passkey()
    assert person.is_proved_by() == ["pwd", "pop", "mfa"]


def test_a_password_and_a_passkey_open_a_session(person: Owner) -> None:
    challenge = person.challenge()
    asked = json.loads(challenge.passkey_options_json)
    assert len(asked["allowCredentials"]) == 1
    answer = person.device.get(challenge.passkey_options_json)
    assert person.meet(challenge.challenge_token, answer).tokens.access_token
    assert person.is_proved_by() == ["pwd", "pop", "mfa"]
    assert refusal(person.meet, challenge.challenge_token, answer).reason == "CHALLENGE_OVER"


def test_m5_the_passkey_of_somebody_else_meets_no_challenge(
    person: Owner, channel: grpc.Channel, clock: SettableClock
) -> None:
    eve = an_owner(channel, clock, "eve")
    eve.register_passkey()
    challenge = person.challenge()
    answer = eve.device.get(challenge.passkey_options_json, eve.device.keys[0])
    assert refusal(person.meet, challenge.challenge_token, answer).reason == "PASSKEY_INVALID"


def test_m4_a_challenge_takes_five_answers(person: Owner) -> None:
    challenge = person.challenge()
    wrong = person.device.get(person.challenge().passkey_options_json)
    told = [refusal(person.meet, challenge.challenge_token, wrong).reason for _ in range(6)]
    assert told == ["PASSKEY_INVALID"] * 5 + ["CHALLENGE_OVER"]


def test_a_recovery_code_helps_whoever_has_lost_the_device(person: Owner) -> None:
    assert person.complete(person.challenge(), person.recovery_codes[0]).tokens.access_token
    assert person.is_proved_by() == ["pwd", "mfa"]
    assert refusal(person.complete, person.challenge(), person.recovery_codes[0]).reason == "CODE_INVALID"
    assert refusal(person.complete, person.challenge(), "000000").reason == "CODE_INVALID", "there is no app"


def test_a_count_that_has_not_grown_is_noted_and_let_in(person: Owner, audit: RecordedAudit) -> None:
    person.log_in()
    person.device.keys[0].count -= 1
    person.log_in()
    assert audit.count("passkey_behind") == 1
    person.device.counts, person.device.keys[0].count = False, 0
    person.log_in()
    assert audit.count("passkey_behind") == 2, "it has counted before"


def test_a_device_that_never_counts_is_never_behind(owner: Owner, audit: RecordedAudit) -> None:
    owner.device = Device(counts=False, is_backed_up=True)
    owner.register_passkey()
    for _ in range(3):
        owner.log_in()
    assert audit.count("passkey_behind") == 0
    assert owner.passkeys()[0].backed_up


def test_c12_a_disabled_user_is_not_let_in(person: Owner, service: bootstrap.Service) -> None:
    service.admin.operate_users.disable("ada", Deadline.after(10))
    assert refusal(person.log_in).reason == "PASSKEY_INVALID"


def test_step_up_by_a_passkey_makes_a_session_fresh(person: Owner) -> None:
    person.clock.advance(minutes=6)
    assert refusal(person.account.call, "BeginPasskeyRegistration").reason == "AUTHENTICATION_TOO_OLD"
    proof = person.signed()
    person.step_up(passkey=proof)
    assert person.is_proved_by() == ["pwd", "pop", "mfa"]
    assert person.account.call("BeginPasskeyRegistration").ceremony.options_json
    assert refusal(person.step_up, passkey=proof).reason == "CHALLENGE_OVER"
    assert refusal(person.step_up, password="quiet copper lantern 47 rivers").reason == "MFA_REQUIRED"


def test_step_up_takes_no_passkey_of_somebody_else(person: Owner, channel: grpc.Channel, clock: SettableClock) -> None:
    eve = an_owner(channel, clock, "eve")
    eve.register_passkey()
    assert refusal(person.step_up, passkey=eve.signed()).reason == "PASSKEY_INVALID"
    assert refusal(person.step_up, passkey=api.PasskeyProof()).violations.keys() == {
        "passkey.ceremony_token",
        "passkey.credential_json",
    }


def test_a_passkey_voids_the_challenges_from_before(owner: Owner) -> None:
    owner.set_up()
    waiting = owner.challenge()
    owner.register_passkey()
    owner.clock.now += STEP
    assert refusal(owner.complete, waiting, owner.code()).reason == "CHALLENGE_OVER"


def test_the_session_ends_as_any_other(person: Owner) -> None:
    tokens = person.log_in()
    assert logout(person.stub, tokens.access_token) == 1
    assert refusal(verify, person.stub, tokens.access_token).reason == "SESSION_ENDED"
