"""A Trust's keys: they change as the authentication service says, as a whole or not at all."""

import pytest
from authapi.v1 import trust_service_pb2 as api

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.scripted import AUDIENCE, MORE_KEYS, SECONDS, ended, first_answer, forger, key_set, token, uuid
from tests.clients.stand_ins import Hands, Heard
from tests.clients.trusts import NewTrust, verdict


def test_keys_change_on_the_stream_and_those_that_stay_are_the_same_objects(
    auth: AuthServer, new_trust: NewTrust
) -> None:
    trust = new_trust(auth)
    assert trust.wait_until_ready(SOON)
    kept = trust.knowledge.keys["own-ES256"]
    assert verdict(trust) == ""
    assert verdict(trust, token(forger("EdDSA"))) == "TOKEN_INVALID"
    seen = trust.signatures_checked
    auth.publish(MORE_KEYS)
    eventually(lambda: len(trust.knowledge.keys) == 2, "the new key")
    assert trust.knowledge.keys["own-ES256"] is kept
    assert verdict(trust, token(forger("EdDSA"))) == ""
    assert verdict(trust, token()) == ""
    remembered = token()
    assert verdict(trust, remembered) == ""
    checked = trust.signatures_checked
    auth.publish(key_set(forger("ES256")))
    eventually(lambda: len(trust.knowledge.keys) == 1, "the key is gone")
    assert verdict(trust, remembered) == ""
    assert (trust.signatures_checked, seen < checked) == (checked, True)
    assert verdict(trust, token(forger("EdDSA"))) == "TOKEN_INVALID", "its signature was good, its key is gone"


def test_t10_another_key_under_the_same_id_forgets_what_the_first_one_signed(
    auth: AuthServer, new_trust: NewTrust
) -> None:
    trust = new_trust(auth)
    assert trust.wait_until_ready(SOON)
    text = token()
    assert verdict(trust, text) == ""
    changed = key_set(forger("ES256"), forger("EdDSA"))
    changed.keys[0].kid, changed.keys[1].kid = "another", "own-ES256"
    auth.publish(changed)
    eventually(lambda: "another" in trust.knowledge.keys, "the new set")
    assert verdict(trust, text) == "TOKEN_INVALID"


def test_a_key_set_with_one_bad_key_is_refused_as_a_whole_and_reported(
    auth: AuthServer, new_trust: NewTrust, heard: Heard
) -> None:
    hands = Hands()
    trust = new_trust(auth, monotonic=hands)
    assert trust.wait_until_ready(SOON)
    before = dict(trust.knowledge.keys)
    bad = key_set(forger("EdDSA"), forger("ES256"))
    bad.keys[0].alg = "RS256"
    auth.publish(bad)
    eventually(lambda: heard.bad_key_sets, "the report")
    auth.revoke(ended(uuid(1)))
    eventually(lambda: trust.knowledge.view.sessions, "the stream goes on")
    assert trust.knowledge.keys == before
    assert verdict(trust) == ""
    assert "own-EdDSA" in heard.bad_key_sets[0]
    assert heard.losses == []


def test_keys_grow_old_while_only_bad_ones_come(auth: AuthServer, new_trust: NewTrust, heard: Heard) -> None:
    hands = Hands()
    trust = new_trust(auth, monotonic=hands)
    assert trust.wait_until_ready(SOON)
    bad = key_set(forger("ES256"))
    bad.keys[0].state = api.KEY_STATE_UNSPECIFIED
    auth.publish(bad)
    eventually(lambda: heard.bad_key_sets, "the report")
    hands.now += 3601.0
    auth.cut()
    eventually(lambda: trust.view_age() < 10, "a complete view on a new stream")
    assert trust.knowledge.key_age() > 3600
    assert verdict(trust, token(exp=SECONDS + 80_000)) == "ask"


def test_a_shared_secret_is_used_where_it_is_held_and_asked_about_where_it_is_not(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    secret = forger("HS256")
    text = type(secret)("jwt-secret", "HS256", secret.private).token()
    for options, expected in (({}, "ask"), ({"shared_secret": secret.private}, "")):
        trust = new_trust(scripted, **options)
        scripted.next_watch().say(first_answer(keys=api.KeySet(is_shared_secret=True)))
        assert trust.wait_until_ready(SOON)
        assert verdict(trust, text) == expected
    assert verdict(trust, type(secret)("jwt-secret", "HS256", b"x" * 32).token()) == "TOKEN_INVALID"


def test_t8_a_token_for_another_service_is_refused_with_the_secret_and_without_it(
    scripted: AuthServer, new_trust: NewTrust, caplog: pytest.LogCaptureFixture
) -> None:
    secret = forger("HS256")
    signer = type(secret)("jwt-secret", "HS256", secret.private)
    for options, expected in (({}, "ask"), ({"shared_secret": secret.private}, "")):
        caplog.clear()
        trust = new_trust(scripted, audience="payments", **options)
        scripted.next_watch().say(first_answer(keys=api.KeySet(is_shared_secret=True)))
        assert trust.wait_until_ready(SOON)
        assert verdict(trust, token(signer)) == "TOKEN_INVALID"
        assert verdict(trust, token(signer, aud="payments", iss="https://another.example")) == "TOKEN_INVALID"
        assert verdict(trust, token(signer, aud="payments")) == expected
        warnings = [record.getMessage() for record in caplog.records if "are accepted" in record.getMessage()]
        assert len(warnings) == 1
        assert f"for audience '{AUDIENCE}'" in warnings[0]


def test_a_held_secret_verifies_nothing_while_the_service_signs_with_keys(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    secret = forger("HS256")
    trust = new_trust(scripted, shared_secret=secret.private)
    scripted.next_watch().say(first_answer())
    assert trust.wait_until_ready(SOON)
    assert verdict(trust, type(secret)("jwt-secret", "HS256", secret.private).token()) == "TOKEN_INVALID"
    assert verdict(trust, type(secret)("own-ES256", "HS256", secret.private).token()) == "TOKEN_INVALID"
