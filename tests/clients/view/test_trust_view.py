"""What a Trust knows: the watch on revocations gives it a complete view, or none."""

import math

import pytest
from authapi.v1 import trust_service_pb2 as api

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.scripted import (
    DELTA,
    KEYS,
    MORE_KEYS,
    SECONDS,
    SNAPSHOT,
    SNAPSHOT_END,
    ended,
    first_answer,
    outdated,
    step,
    token,
    uuid,
)
from tests.clients.stand_ins import Hands, Heard
from tests.clients.trusts import NewTrust, verdict


def test_a_snapshot_replaces_the_view_with_its_last_part_and_not_before(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    trust = new_trust(scripted)
    first = scripted.next_watch().say(first_answer(ended(uuid(1)), count=1))
    assert trust.wait_until_ready(SOON)
    first.end()

    second = scripted.next_watch()
    second.say(step(SNAPSHOT, ended(uuid(2)), opened=200.0, read=200.0, keys=MORE_KEYS))
    eventually(lambda: len(trust.knowledge.keys) == 2, "the part is there, with its keys")
    assert trust.knowledge.view.sessions == {uuid(1)}
    second.say(step(SNAPSHOT, ended(uuid(3)), read=200.0), step(SNAPSHOT_END, ended(uuid(4)), read=200.0, count=3))
    eventually(lambda: len(trust.knowledge.view.sessions) == 3, "the new view")
    assert trust.knowledge.view.sessions == {uuid(2), uuid(3), uuid(4)}


def test_a_snapshot_that_is_cut_in_the_middle_leaves_nothing_in_the_next_one(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    trust = new_trust(scripted)
    scripted.next_watch().say(step(SNAPSHOT, ended(uuid(1)), opened=1.0, read=1.0, keys=KEYS)).end()
    scripted.next_watch().say(first_answer(ended(uuid(2)), count=1))
    assert trust.wait_until_ready(SOON)
    assert trust.knowledge.view.sessions == {uuid(2)}


def test_a_delta_adds_to_the_view_and_a_rule_that_comes_twice_changes_nothing(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    trust = new_trust(scripted)
    assert verdict(trust) == "ask"
    watch = scripted.next_watch().say(first_answer())
    assert trust.wait_until_ready(SOON)
    assert verdict(trust) == ""
    watch.say(step(DELTA, ended(), count=1))
    eventually(lambda: verdict(trust) == "SESSION_ENDED", "the end of the session")
    watch.say(step(DELTA, ended(), outdated(7), count=2))
    eventually(lambda: verdict(trust, token(sid=uuid(9), gen=6)) == "TOKEN_OUTDATED", "the outdated token")
    assert verdict(trust, token(sid=uuid(9), gen=7)) == ""
    assert len(scripted.opened) == 1


def test_a_rule_is_dropped_when_it_expires_and_counted_as_the_server_counts(
    scripted: AuthServer, new_trust: NewTrust, heard: Heard
) -> None:
    trust = new_trust(scripted)
    soon, later = SECONDS + 60, SECONDS + 120
    rules = ended(uuid(1), soon), outdated(3, uuid(2), soon), ended(uuid(3), later), ended(uuid(4), SECONDS)
    watch = scripted.next_watch().say(first_answer(*rules, count=3))
    assert trust.wait_until_ready(SOON)
    view = trust.knowledge.view
    assert view.sessions == {uuid(1), uuid(3)}, "the one that is over at the time of reading does not count"
    watch.say(step(time_=soon - 0.5, count=3))
    watch.say(step(time_=soon, count=1))
    eventually(lambda: view.rule_count == 1, "two are over")
    assert (view.sessions, view.generations) == ({uuid(3)}, {})
    watch.say(step(time_=later, count=0))
    eventually(lambda: not view.sessions, "none is left")
    assert (len(scripted.opened), heard.losses) == (1, [])


def test_of_two_rules_about_a_user_the_higher_generation_counts_in_either_order(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    trust = new_trust(scripted)
    user, other = uuid(1), uuid(2)
    rules = outdated(3, user), outdated(5, user), outdated(5, other), outdated(3, other)
    scripted.next_watch().say(first_answer(*rules, count=4))
    assert trust.wait_until_ready(SOON)
    assert trust.knowledge.view.generations == {user: 5, other: 5}


@pytest.mark.parametrize(
    "answer",
    [
        step(DELTA, count=1, read=110.0, seq=9),
        step(DELTA, ended(uuid(2)), ended(uuid(3)), count=2, read=110.0, seq=9),
        step(DELTA, ended(uuid(1)), count=2, read=110.0, seq=9),
    ],
    ids=["one is missing", "one too many", "the same twice"],
)
def test_a_watcher_that_counts_otherwise_does_not_grow_younger_and_begins_again(
    scripted: AuthServer, new_trust: NewTrust, heard: Heard, answer: api.WatchRevocationsResponse
) -> None:
    hands = Hands()
    trust = new_trust(scripted, monotonic=hands)
    has_one = bool(answer.revocations)
    first = scripted.next_watch()
    first.say(first_answer(ended(uuid(1)), count=1, seq=4) if has_one else first_answer(seq=4))
    assert trust.wait_until_ready(SOON)
    hands.now = 10.0
    first.say(answer)
    second = scripted.next_watch()
    assert second.resume_point is None
    assert first.is_over.wait(SOON)
    assert trust.view_age() == pytest.approx(10.0)
    assert (uuid(1) in trust.knowledge.view.sessions) == has_one, "it judges with what it has"
    assert "rules are expected" in heard.losses[0]
    second.say(step(SNAPSHOT_END, ended(uuid(8)), opened=200.0, read=200.0, keys=KEYS, count=1))
    eventually(lambda: trust.view_age() == 0.0, "a complete view")
    assert trust.knowledge.view.sessions == {uuid(8)}


def test_a_snapshot_with_a_wrong_count_is_no_view(scripted: AuthServer, new_trust: NewTrust) -> None:
    trust = new_trust(scripted)
    scripted.next_watch().say(first_answer(ended(uuid(1)), count=2))
    assert scripted.next_watch().resume_point is None
    assert (trust.is_ready, trust.view_age(), trust.knowledge.view.sessions) == (False, math.inf, set())


def test_a_second_snapshot_in_the_same_stream_replaces_the_first(scripted: AuthServer, new_trust: NewTrust) -> None:
    trust = new_trust(scripted)
    watch = scripted.next_watch().say(first_answer(ended(uuid(1)), count=1))
    assert trust.wait_until_ready(SOON)
    watch.say(step(SNAPSHOT_END, ended(uuid(2)), read=101.0, count=1))
    eventually(lambda: uuid(2) in trust.knowledge.view.sessions, "the second one")
    assert trust.knowledge.view.sessions == {uuid(2)}
