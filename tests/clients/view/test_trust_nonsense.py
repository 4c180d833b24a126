"""Answers of a watch that make no sense: they make nothing look young, and the stream is opened anew from the start."""

import pytest
from authapi.v1 import trust_service_pb2 as api

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.scripted import KEYS, SNAPSHOT_END, ended, first_answer, outdated, step, token, uuid
from tests.clients.stand_ins import Heard
from tests.clients.trusts import NewTrust, verdict

SESSION = uuid(1)
UNKNOWN_PART = 9

NONSENSE = {
    "of no part": step(api.WATCH_PART_UNSPECIFIED, count=1),
    "of an unknown part": step(UNKNOWN_PART, count=1),
    "read long after it arrived": step(api.WATCH_PART_DELTA, count=1, read=100_000.0),
    "a rule about nobody": step(api.WATCH_PART_DELTA, ended(""), count=2),
    "a rule about no generation": step(api.WATCH_PART_DELTA, outdated(0, uuid(2)), count=2),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_what_is_known_stays_and_the_watch_begins_anew(
    scripted: AuthServer, new_trust: NewTrust, heard: Heard, nonsense: str
) -> None:
    trust = new_trust(scripted)
    watch = scripted.next_watch().say(first_answer(ended(SESSION), count=1))
    assert trust.wait_until_ready(SOON)
    watch.say(NONSENSE[nonsense])
    again = scripted.next_watch()
    assert again.resume_point is None
    assert len(heard.losses) == 1
    assert trust.view_age() >= 0
    assert verdict(trust, token(sid=SESSION)) == "SESSION_ENDED"
    again.say(first_answer(ended(SESSION), count=1))
    eventually(lambda: heard.connections == 2, "the new stream is complete")


def test_a_first_answer_that_does_not_say_when_the_stream_was_opened_tells_no_age(
    scripted: AuthServer, new_trust: NewTrust, heard: Heard
) -> None:
    trust = new_trust(scripted)
    scripted.next_watch().say(step(SNAPSHOT_END, keys=KEYS))
    eventually(lambda: heard.losses, "it is refused")
    assert not trust.is_ready
    assert verdict(trust) == "ask"
