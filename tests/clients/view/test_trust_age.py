"""How old a Trust's view is: never younger than what the authentication service has proved."""

import math

import pytest
from authclient._judging.verified import Ask, Known
from authclient.testing import Issuer, LocalTrust

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.scripted import DELTA, MORE_KEYS, SECONDS, SNAPSHOT, ended, first_answer, step, token, uuid
from tests.clients.stand_ins import Hands
from tests.clients.trusts import NewTrust, verdict


def test_the_age_is_the_time_since_the_stream_was_opened_less_what_the_server_has_proved(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    hands = Hands(5000.0)
    trust = new_trust(scripted, monotonic=hands)
    assert trust.view_age() == math.inf
    watch = scripted.next_watch()
    hands.now += 0.25  # The first answer took that long.
    watch.say(first_answer())
    assert trust.wait_until_ready(SOON)
    assert trust.view_age() == pytest.approx(0.25)
    hands.now += 1.0
    watch.say(step(read=101.0))
    eventually(lambda: trust.view_age() < 1, "a heartbeat moves the age")
    assert trust.view_age() == pytest.approx(0.25)
    assert trust.knowledge.now() == pytest.approx(SECONDS + 0.25)


def test_an_answer_that_waited_a_minute_in_a_buffer_makes_the_view_a_minute_old(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    hands = Hands()
    trust = new_trust(scripted, monotonic=hands)
    watch = scripted.next_watch().say(first_answer())
    assert trust.wait_until_ready(SOON)
    hands.now = 60.0  # As after a SIGSTOP, or asleep.
    assert trust.view_age() == pytest.approx(60.0)
    assert verdict(trust) == "ask"
    watch.say(step(DELTA, ended(uuid(5)), read=100.1, count=1))
    eventually(lambda: trust.knowledge.view.sessions, "the answer that had waited")
    assert trust.view_age() == pytest.approx(59.9)
    assert verdict(trust) == "ask"
    watch.say(step(read=160.0, count=1))
    eventually(lambda: verdict(trust) == "", "what was written after the minute")
    assert trust.view_age() == pytest.approx(0.0)


def test_a_first_answer_that_waited_is_as_old_as_it_is(scripted: AuthServer, new_trust: NewTrust) -> None:
    hands = Hands()
    trust = new_trust(scripted, monotonic=hands)
    watch = scripted.next_watch()
    hands.now = 60.0
    watch.say(first_answer())
    assert trust.wait_until_ready(SOON)
    assert trust.view_age() == pytest.approx(60.0)
    assert verdict(trust) == "ask"


def test_parts_of_a_snapshot_do_not_move_the_age(scripted: AuthServer, new_trust: NewTrust) -> None:
    hands = Hands()
    trust = new_trust(scripted, monotonic=hands)
    scripted.next_watch().say(first_answer()).end()
    assert trust.wait_until_ready(SOON)
    watch = scripted.next_watch()
    hands.now = 7.0
    watch.say(step(SNAPSHOT, ended(uuid(1)), opened=200.0, read=207.0, keys=MORE_KEYS))
    eventually(lambda: len(trust.knowledge.keys) == 2, "the part is there")
    assert trust.view_age() == pytest.approx(7.0)


def test_a_lost_stream_leaves_the_view_and_lets_it_age(auth: AuthServer, new_trust: NewTrust) -> None:
    hands = Hands()
    trust = new_trust(auth, monotonic=hands)
    assert trust.wait_until_ready(SOON)
    auth.revoke(ended())
    eventually(lambda: verdict(trust) == "SESSION_ENDED", "the rule")
    auth.stop()
    age = trust.view_age()
    hands.now += 3600.0
    assert trust.view_age() == pytest.approx(age + 3600.0)
    assert verdict(trust, token(exp=SECONDS + 80_000)) == "SESSION_ENDED", "whatever its age"
    assert verdict(trust, token(sid=uuid(1), exp=SECONDS + 80_000)) == "ask"


@pytest.mark.parametrize("wrong", [-3600.0, -60.0, 60.0, 3600.0])
def test_the_clock_of_this_machine_may_be_wrong_once_the_stream_was_there(
    auth: AuthServer, new_trust: NewTrust, wrong: float
) -> None:
    hands = Hands(77.0)
    trust = new_trust(auth, monotonic=hands, clock=lambda: SECONDS + wrong)
    assert trust.wait_until_ready(SOON)
    assert abs(trust.knowledge.now() - SECONDS) < SOON
    age = trust.view_age()
    assert verdict(trust) == ""
    assert verdict(trust, token(iat=SECONDS - 900, nbf=SECONDS - 900, exp=SECONDS - 31)) == "TOKEN_EXPIRED"
    assert verdict(trust, token(nbf=SECONDS + 60)) == "TOKEN_NOT_YET_VALID"
    auth.stop()
    hands.now += 4.0
    assert trust.view_age() == pytest.approx(age + 4.0, abs=1.0)
    assert verdict(trust) == ""


def test_news_that_arrives_while_a_call_is_judged_makes_no_old_view_young(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer()
    trust = LocalTrust(issuer)
    text = issuer.token()
    trust.stale()
    issuer.clock.advance(60)
    check = trust.judge.check

    def check_and_hear(known: Known, **how: bool) -> None:
        check(known, **how)
        trust.back()

    monkeypatch.setattr(trust.judge, "check", check_and_hear)
    assert isinstance(trust.judge.judge(text, 10.0), Ask)
