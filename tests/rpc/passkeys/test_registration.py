"""Registering passkeys, naming them, and taking them away."""

import json

import grpc
import pytest
from authapi.v1 import account_service_pb2 as api
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import second_factor_pb2 as factor_api

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.domain.passkey import MOST_PASSKEYS
from tests.conftest import CHEAPEST, RecordedAudit, SettableClock, serve_in_process
from tests.observed import refresh, refusal, verify
from tests.rpc.account.mailbox import Mailbox, text_of
from tests.rpc.passkeys.conftest import an_owner
from tests.rpc.passkeys.device import Device
from tests.rpc.passkeys.people import Owner


def test_what_a_browser_is_asked_names_the_page_the_user_and_what_may_sign(owner: Owner) -> None:
    asked = json.loads(owner.account.call("BeginPasskeyRegistration").ceremony.options_json)
    assert asked["rp"] == {"id": "example.com", "name": "authservice"}
    assert (asked["user"]["name"], asked["user"]["displayName"]) == ("ada", "ada")
    assert asked["attestation"] == "none"
    assert {each["alg"] for each in asked["pubKeyCredParams"]} >= {-7, -8, -257}
    assert asked["authenticatorSelection"]["userVerification"] == "preferred"
    owner.register_passkey()
    again = json.loads(owner.account.call("BeginPasskeyRegistration").ceremony.options_json)
    assert len(again["excludeCredentials"]) == 1, "a device that has one is not asked for another"


def test_the_first_passkey_brings_recovery_codes_and_raises_the_session(
    owner: Owner, audit: RecordedAudit, service: bootstrap.Service
) -> None:
    mailbox = Mailbox(service)
    kept = owner.register_passkey("My phone")
    assert len(set(kept.recovery_codes)) == 10
    assert (kept.passkey.kind, kept.passkey.name) == (api.FACTOR_KIND_PASSKEY, "My phone")
    assert owner.passkeys() == [kept.passkey]
    owner.tokens = refresh(owner.stub, owner.tokens.refresh_token)
    assert owner.is_proved_by() == ["pwd", "pop", "mfa"]
    assert not owner.register_passkey("Key ring").recovery_codes, "the codes from before go on"
    assert audit.count("passkey_added") == 2
    assert [text_of(mail).count("a passkey was added") for mail in mailbox.new()] == [1, 1]


def test_one_ceremony_makes_one_passkey_and_a_credential_is_registered_once(
    owner: Owner, channel: grpc.Channel, clock: SettableClock
) -> None:
    asked = owner.account.call("BeginPasskeyRegistration").ceremony
    first, second = owner.device.create(asked.options_json), owner.device.create(asked.options_json)
    owner.finish(asked.ceremony_token, first)
    assert refusal(owner.finish, asked.ceremony_token, second).reason == "CHALLENGE_OVER"
    eve = an_owner(channel, clock, "eve")
    begun = eve.account.call("BeginPasskeyRegistration").ceremony
    assert refusal(eve.finish, begun.ceremony_token, first).reason == "PASSKEY_INVALID", "it was made for another one"
    assert len(owner.passkeys()) == 1


def test_what_one_session_has_begun_no_other_ends_and_not_after_its_time(owner: Owner) -> None:
    asked = owner.account.call("BeginPasskeyRegistration").ceremony
    made = owner.device.create(asked.options_json)
    mine = owner.tokens
    owner.tokens = owner.ask().tokens
    assert refusal(owner.finish, asked.ceremony_token, made).reason == "CHALLENGE_OVER"
    owner.tokens = mine
    by_login = owner.stub.BeginPasskeyLogin(auth_api.BeginPasskeyLoginRequest()).ceremony
    assert refusal(owner.finish, by_login.ceremony_token, made).reason == "CHALLENGE_OVER", "begun for something else"
    owner.clock.advance(minutes=5)
    assert refusal(owner.finish, asked.ceremony_token, made).reason == "CHALLENGE_OVER"
    assert owner.passkeys() == []


@pytest.mark.parametrize(
    "device",
    [
        Device(origin="https://evil.example"),
        Device(origin="http://accounts.example.com"),
        Device(domain="evil.example"),
        Device(is_framed=True),
    ],
    ids=["another page", "without TLS", "another domain", "inside another page"],
)
def test_what_another_page_has_asked_for_is_refused(owner: Owner, device: Device, audit: RecordedAudit) -> None:
    owner.device = device
    assert refusal(owner.register_passkey).reason == "PASSKEY_INVALID"
    assert owner.passkeys() == []
    assert audit.count("passkey_refused") == 1


@pytest.mark.parametrize(
    "shown",
    [
        {1: 3, 3: -257, -1: ((1 << 1023) + 1).to_bytes(128), -2: b"\x01\x00\x01"},
        {1: 3, 3: -257, -1: b"", -2: b"\x01\x00\x01"},
        {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)},
        {1: 2, 3: -7, -1: 1, -2: 7, -3: None},
        {1: 2, 3: -7},
        {1: 9},
    ],
    ids=["RSA of 1024 bits", "RSA of none", "no point of the curve", "no bytes", "no point", "no such kind"],
)
def test_a_key_that_proves_nothing_is_not_registered(owner: Owner, shown: dict[int, object]) -> None:
    owner.device = Device(shown=shown)
    assert refusal(owner.register_passkey).reason == "PASSKEY_INVALID"
    assert owner.passkeys() == []


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "{}",
        "[]",
        "null",
        '{"rawId": 3}',
        '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}',
        "[" * 9000,
    ],
)
def test_what_is_no_answer_of_a_browser_is_refused_and_breaks_nothing(owner: Owner, text: str) -> None:
    asked = owner.account.call("BeginPasskeyRegistration").ceremony
    assert refusal(owner.finish, asked.ceremony_token, text).reason == "PASSKEY_INVALID"


def test_what_is_missing_or_too_long_is_named(owner: Owner) -> None:
    assert refusal(owner.finish, "", "", "").violations.keys() == {"ceremony_token", "credential_json", "name"}
    assert refusal(owner.finish, "x", "x" * 16_385, "x" * 65).violations.keys() == {"credential_json", "name"}
    assert refusal(owner.finish, "pk1." + "A" * 75, "{}", "x").reason == "CHALLENGE_OVER"


def test_a_user_has_twenty_at_most(owner: Owner) -> None:
    for number in range(MOST_PASSKEYS):
        owner.register_passkey(f"Device {number}")
    assert refusal(owner.register_passkey).reason == "PASSKEY_LIMIT"
    assert len(owner.passkeys()) == MOST_PASSKEYS


def test_of_ceremonies_that_were_begun_together_one_makes_a_passkey(owner: Owner) -> None:
    """So nobody who has begun one waits, with what they knew, until the account has another factor."""
    begun = [owner.account.call("BeginPasskeyRegistration").ceremony for _ in range(2)]
    first, second = ((each.ceremony_token, owner.device.create(each.options_json)) for each in begun)
    owner.finish(*first)
    assert refusal(owner.finish, *second).reason == "CHALLENGE_OVER"
    assert len(owner.passkeys()) == 1


def test_passkeys_are_renamed_by_their_owner_alone(owner: Owner, channel: grpc.Channel, clock: SettableClock) -> None:
    wanted = owner.register_passkey().passkey.passkey_id
    for _ in range(2):
        owner.account.call("RenamePasskey", passkey_id=wanted, name="Old phone")
    assert [each.name for each in owner.passkeys()] == ["Old phone"]
    eve = an_owner(channel, clock, "eve")
    assert refusal(eve.account.call, "RenamePasskey", passkey_id=wanted, name="x").reason == "NOT_PERMITTED"
    assert refusal(owner.account.call, "RenamePasskey", passkey_id="x", name=" ").violations.keys() == {
        "passkey_id",
        "name",
    }


def test_s7_removing_a_passkey_ends_every_other_session_and_the_last_one_takes_the_recovery_codes(
    owner: Owner, channel: grpc.Channel, clock: SettableClock
) -> None:
    other = owner.tokens
    first, second = owner.register_passkey().passkey, owner.register_passkey("Key ring").passkey
    owner.log_in()
    eve = an_owner(channel, clock, "eve")
    eve.register_passkey()
    eve.log_in()
    assert refusal(eve.account.call, "RemovePasskey", passkey_id=first.passkey_id).reason == "NOT_PERMITTED"
    assert owner.account.call("RemovePasskey", passkey_id=first.passkey_id).ended_sessions == 1
    assert refusal(verify, owner.stub, other.access_token).reason == "SESSION_ENDED"
    assert owner.account.call("ListFactors").recovery_codes_left == 10
    assert owner.account.call("RemovePasskey", passkey_id=second.passkey_id).ended_sessions == 0
    assert refusal(verify, owner.stub, owner.tokens.access_token).reason == "TOKEN_OUTDATED", "it tells of two factors"
    owner.tokens = refresh(owner.stub, owner.tokens.refresh_token)
    assert owner.is_proved_by() == ["pop"]
    assert owner.account.call("ListFactors") == api.ListFactorsResponse()
    assert owner.ask().HasField("tokens"), "the password is enough again"


def test_removing_asks_for_two_factors(owner: Owner) -> None:
    kept = owner.register_passkey().passkey
    refused = refusal(owner.account.call, "RemovePasskey", passkey_id=kept.passkey_id)
    assert refused.reason == "MFA_REQUIRED", "its access token is from before"


def test_an_app_and_a_passkey_stand_beside_each_other(owner: Owner) -> None:
    owner.register_passkey()
    owner.tokens = refresh(owner.stub, owner.tokens.refresh_token)
    owner.set_up()
    assert set(owner.challenge().methods) == {
        factor_api.CHALLENGE_METHOD_TOTP,
        factor_api.CHALLENGE_METHOD_PASSKEY,
        factor_api.CHALLENGE_METHOD_RECOVERY_CODE,
    }
    owner.tokens = refresh(owner.stub, owner.tokens.refresh_token)
    owner.account.call("RemoveTotp")
    left = owner.account.call("ListFactors")
    assert (len(left.factors), left.recovery_codes_left) == (1, 10), "the codes are good as long as there is a factor"


def test_an_operator_takes_passkeys_away_too(owner: Owner, service: bootstrap.Service) -> None:
    owner.register_passkey()
    assert service.admin.operate_users.remove_second_factor("ada", Deadline.after(10)) == 1
    assert owner.ask().HasField("tokens")


def test_without_a_domain_there_are_no_passkeys_and_who_has_one_needs_a_recovery_code(
    owner: Owner, service: bootstrap.Service
) -> None:
    owner.register_passkey()
    settings = service.parts.settings.model_copy(update={"passkey_domain": None})
    off = bootstrap.assemble(settings, clock=owner.clock, hash_cost=CHEAPEST)
    server, port = serve_in_process(off)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        elsewhere = Owner(channel, owner.clock, tokens=owner.tokens, recovery_codes=owner.recovery_codes)
        assert refusal(elsewhere.account.call, "BeginPasskeyRegistration").reason == "PASSKEYS_OFF"
        assert refusal(elsewhere.signed).reason == "PASSKEYS_OFF"
        challenge = elsewhere.challenge()
        assert list(challenge.methods) == [factor_api.CHALLENGE_METHOD_RECOVERY_CODE], "it does not fall open"
        assert elsewhere.complete(challenge, elsewhere.recovery_codes[0]).tokens.access_token
    server.stop(0)
    off.close()
