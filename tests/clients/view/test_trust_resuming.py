"""A watch that is cut or falls silent goes on from where it was, and loses no revocation."""

import time

import authclient._view.watch
import grpc
import pytest
from authapi.v1 import trust_service_pb2 as api

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.scripted import DELTA, HISTORY, KEYS, ended, first_answer, step, uuid
from tests.clients.stand_ins import Heard
from tests.clients.trusts import NewTrust


def test_after_a_cut_the_watch_goes_on_from_the_last_resume_point(scripted: AuthServer, new_trust: NewTrust) -> None:
    trust = new_trust(scripted)
    first = scripted.next_watch()
    assert first.resume_point is None
    first.say(first_answer(ended(uuid(1)), count=1, seq=41), step(DELTA, ended(uuid(2)), count=2, seq=42))
    eventually(lambda: len(trust.knowledge.view.sessions) == 2, "both")
    first.end()
    second = scripted.next_watch()
    assert second.resume_point == api.ResumePoint(history=HISTORY, seq=42)
    second.say(step(DELTA, ended(uuid(3)), opened=7.0, read=7.0, keys=KEYS, count=3, seq=43))
    eventually(lambda: len(trust.knowledge.view.sessions) == 3, "what was new since")


def test_without_its_resume_point_known_the_watch_begins_with_a_snapshot(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    trust = new_trust(scripted)
    scripted.next_watch().say(first_answer(ended(uuid(1)), count=1, seq=41)).end()
    second = scripted.next_watch()
    assert second.resume_point
    second.end(grpc.StatusCode.OUT_OF_RANGE, "RESUME_POINT_UNKNOWN")
    third = scripted.next_watch()
    assert third.resume_point is None
    assert trust.knowledge.view.sessions == {uuid(1)}, "meanwhile it judges with what it has"
    third.say(first_answer(ended(uuid(2)), count=1, seq=1))
    eventually(lambda: trust.knowledge.view.sessions == {uuid(2)}, "the other history")


def test_s3_a_hundred_cuts_lose_no_revocation(
    auth: AuthServer, new_trust: NewTrust, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authclient._view.watch, "FIRST_PAUSE", 0.002)
    trust = new_trust(auth)
    assert trust.wait_until_ready(SOON)
    for cut in range(100):
        auth.revoke(*(ended(uuid(10 * cut + number)) for number in range(5)))
        auth.cut()
        auth.revoke(*(ended(uuid(10 * cut + number)) for number in range(5, 10)))
        eventually(lambda: len(trust.knowledge.view.sessions) == len(auth.rules), f"all rules after cut {cut}")
    assert trust.knowledge.view.sessions == {uuid(number) for number in range(1000)}
    assert len(auth.opened) >= 100
    assert all(watch.resume_point for watch in auth.opened[1:]), "no snapshot was needed"


def test_a_silent_stream_is_cancelled_and_another_one_opened(
    scripted: AuthServer, new_trust: NewTrust, monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    monkeypatch.setattr(authclient._view.watch, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(authclient._view.watch, "TICK_SECONDS", 0.02)
    new_trust(scripted)
    first = scripted.next_watch().say(first_answer(seq=5))
    second = scripted.next_watch()
    assert first.is_over.wait(SOON)
    assert 0.3 <= second.opened_at - first.opened_at < 5
    assert second.resume_point == api.ResumePoint(history=HISTORY, seq=5)
    scripted.next_watch()  # One that never said anything is as dead.
    assert second.is_over.wait(SOON)
    assert all("CANCELLED" in why for why in heard.losses)


def test_a_stream_that_answers_every_second_is_not_silent(
    auth: AuthServer, new_trust: NewTrust, monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    monkeypatch.setattr(authclient._view.watch, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(authclient._view.watch, "TICK_SECONDS", 0.02)
    trust = new_trust(auth)
    until = time.monotonic() + 1.5
    eventually(lambda: time.monotonic() > until, "more than the silence that is allowed")
    assert (len(auth.opened), heard.losses) == (1, [])
    assert trust.view_age() < 1.0
