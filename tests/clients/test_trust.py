"""What one process knows, how old that is, and how it learns it: the watch on revocations, and Verify for the rest."""

import contextlib
import functools
import math
import socket
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import authclient.watch
import grpc
import pytest
from authapi.v1 import trust_service_pb2 as api
from authclient import Refused, Trust
from authclient.channels import FIRST_PAUSE, LONGEST_PAUSE
from authclient.decisions import Ask

from tests.clients.scripted import (
    DELTA,
    HISTORY,
    SECONDS,
    SNAPSHOT,
    SNAPSHOT_END,
    SOON,
    AuthServer,
    Hands,
    Heard,
    ended,
    eventually,
    forger,
    identity,
    key_set,
    outdated,
    refuse,
    step,
    token,
    uuid,
)

NewTrust = Callable[..., Trust]
KEYS = key_set(forger("ES256"))
FIRST = functools.partial(step, SNAPSHOT_END, opened=100.0, read=100.0, keys=KEYS)
"""The first answer of a stream that was opened when the server's uptime was 100 seconds."""
OTHERS = key_set(forger("ES256"), forger("EdDSA"))


def verdict(trust: Trust, text: str | None = None, max_staleness: float = 10.0) -> str:
    """Return the reason why a token is refused here, `ask` if that cannot be told, or nothing."""
    try:
        found = trust.judge.judge(text or token(), max_staleness)
    except Refused as refused:
        return refused.reason
    return "ask" if isinstance(found, Ask) else ""


# --- the view ---------------------------------------------------------------------------------------------------------


def test_a_snapshot_replaces_the_view_with_its_last_part_and_not_before(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    trust = new_trust(scripted)
    first = scripted.next_watch().say(FIRST(ended(uuid(1)), count=1))
    assert trust.wait_until_ready(SOON)
    first.end()

    second = scripted.next_watch()
    second.say(step(SNAPSHOT, ended(uuid(2)), opened=200.0, read=200.0, keys=OTHERS))
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
    scripted.next_watch().say(FIRST(ended(uuid(2)), count=1))
    assert trust.wait_until_ready(SOON)
    assert trust.knowledge.view.sessions == {uuid(2)}


def test_a_delta_adds_to_the_view_and_a_rule_that_comes_twice_changes_nothing(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    trust = new_trust(scripted)
    assert verdict(trust) == "ask"
    watch = scripted.next_watch().say(FIRST())
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
    watch = scripted.next_watch().say(FIRST(*rules, count=3))
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
    scripted.next_watch().say(FIRST(*rules, count=4))
    assert trust.wait_until_ready(SOON)
    assert trust.knowledge.view.generations == {user: 5, other: 5}


# --- the age ----------------------------------------------------------------------------------------------------------


def test_the_age_is_the_time_since_the_stream_was_opened_less_what_the_server_has_proved(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    hands = Hands(5000.0)
    trust = new_trust(scripted, monotonic=hands)
    assert trust.view_age() == math.inf
    watch = scripted.next_watch()
    hands.now += 0.25  # The first answer took that long.
    watch.say(FIRST())
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
    watch = scripted.next_watch().say(FIRST())
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
    watch.say(FIRST())
    assert trust.wait_until_ready(SOON)
    assert trust.view_age() == pytest.approx(60.0)
    assert verdict(trust) == "ask"


def test_parts_of_a_snapshot_do_not_move_the_age(scripted: AuthServer, new_trust: NewTrust) -> None:
    hands = Hands()
    trust = new_trust(scripted, monotonic=hands)
    scripted.next_watch().say(FIRST()).end()
    assert trust.wait_until_ready(SOON)
    watch = scripted.next_watch()
    hands.now = 7.0
    watch.say(step(SNAPSHOT, ended(uuid(1)), opened=200.0, read=207.0, keys=OTHERS))
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


# --- a watcher that missed something ----------------------------------------------------------------------------------


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
    first.say(FIRST(ended(uuid(1)), count=1, seq=4) if has_one else FIRST(seq=4))
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
    scripted.next_watch().say(FIRST(ended(uuid(1)), count=2))
    assert scripted.next_watch().resume_point is None
    assert (trust.is_ready, trust.view_age(), trust.knowledge.view.sessions) == (False, math.inf, set())


def test_a_second_snapshot_in_the_same_stream_replaces_the_first(scripted: AuthServer, new_trust: NewTrust) -> None:
    trust = new_trust(scripted)
    watch = scripted.next_watch().say(FIRST(ended(uuid(1)), count=1))
    assert trust.wait_until_ready(SOON)
    watch.say(step(SNAPSHOT_END, ended(uuid(2)), read=101.0, count=1))
    eventually(lambda: uuid(2) in trust.knowledge.view.sessions, "the second one")
    assert trust.knowledge.view.sessions == {uuid(2)}


# --- resuming ---------------------------------------------------------------------------------------------------------


def test_after_a_cut_the_watch_goes_on_from_the_last_resume_point(scripted: AuthServer, new_trust: NewTrust) -> None:
    trust = new_trust(scripted)
    first = scripted.next_watch()
    assert first.resume_point is None
    first.say(FIRST(ended(uuid(1)), count=1, seq=41), step(DELTA, ended(uuid(2)), count=2, seq=42))
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
    scripted.next_watch().say(FIRST(ended(uuid(1)), count=1, seq=41)).end()
    second = scripted.next_watch()
    assert second.resume_point
    second.end(grpc.StatusCode.OUT_OF_RANGE, "RESUME_POINT_UNKNOWN")
    third = scripted.next_watch()
    assert third.resume_point is None
    assert trust.knowledge.view.sessions == {uuid(1)}, "meanwhile it judges with what it has"
    third.say(FIRST(ended(uuid(2)), count=1, seq=1))
    eventually(lambda: trust.knowledge.view.sessions == {uuid(2)}, "the other history")


def test_s3_a_hundred_cuts_lose_no_revocation(
    auth: AuthServer, new_trust: NewTrust, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authclient.watch, "FIRST_PAUSE", 0.002)
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
    monkeypatch.setattr(authclient.watch, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(authclient.watch, "TICK_SECONDS", 0.02)
    new_trust(scripted)
    first = scripted.next_watch().say(FIRST(seq=5))
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
    monkeypatch.setattr(authclient.watch, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(authclient.watch, "TICK_SECONDS", 0.02)
    trust = new_trust(auth)
    until = time.monotonic() + 1.5
    eventually(lambda: time.monotonic() > until, "more than the silence that is allowed")
    assert (len(auth.opened), heard.losses) == (1, [])
    assert trust.view_age() < 1.0


# --- keys -------------------------------------------------------------------------------------------------------------


def test_keys_change_on_the_stream_and_those_that_stay_are_the_same_objects(
    auth: AuthServer, new_trust: NewTrust
) -> None:
    trust = new_trust(auth)
    assert trust.wait_until_ready(SOON)
    kept = trust.knowledge.keys["own-ES256"]
    assert verdict(trust) == ""
    assert verdict(trust, token(forger("EdDSA"))) == "TOKEN_INVALID"
    seen = trust.signatures_checked
    auth.publish(OTHERS)
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
        scripted.next_watch().say(FIRST(keys=api.KeySet(is_shared_secret=True)))
        assert trust.wait_until_ready(SOON)
        assert verdict(trust, text) == expected
    assert verdict(trust, type(secret)("jwt-secret", "HS256", b"x" * 32).token()) == "TOKEN_INVALID"


def test_a_held_secret_verifies_nothing_while_the_service_signs_with_keys(
    scripted: AuthServer, new_trust: NewTrust
) -> None:
    secret = forger("HS256")
    trust = new_trust(scripted, shared_secret=secret.private)
    scripted.next_watch().say(FIRST())
    assert trust.wait_until_ready(SOON)
    assert verdict(trust, type(secret)("jwt-secret", "HS256", secret.private).token()) == "TOKEN_INVALID"
    assert verdict(trust, type(secret)("own-ES256", "HS256", secret.private).token()) == "TOKEN_INVALID"


# --- connecting -------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_the_service_may_come_up_later_than_its_client(new_trust: NewTrust, heard: Heard) -> None:
    server = AuthServer()  # type: ignore[abstract]  # what it does not play answers UNIMPLEMENTED
    server.port = free_port()
    trust = new_trust(server)
    eventually(lambda: heard.losses, "an attempt")
    assert not trust.wait_until_ready(0)
    assert heard.connections == 0
    with server:
        assert trust.wait_until_ready(SOON)
        assert verdict(trust) == ""
        eventually(lambda: heard.connections == 1, "the report")


def test_an_observer_hears_of_each_connection_and_each_loss(
    auth: AuthServer, new_trust: NewTrust, heard: Heard
) -> None:
    trust = new_trust(auth)
    assert trust.wait_until_ready(SOON)
    assert (heard.connections, heard.losses) == (1, [])
    auth.cut()
    eventually(lambda: heard.connections == 2, "the second connection")
    assert len(heard.losses) == 1
    assert "UNAVAILABLE" in heard.losses[0]


class Pauses:
    """Events that note how long they were waited on, and by whom, and do not wait that long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def new_event(self) -> Any:
        noted = self.seconds

        class Event(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                if threading.current_thread().name == "authclient-trust" and timeout is not None:
                    noted.append(timeout)
                    timeout = min(timeout, 0.001)
                return super().wait(timeout)

        return Event()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """Return the pauses between attempts, none of which takes its time."""
    noted = Pauses()
    names = {"Thread": threading.Thread, "current_thread": threading.current_thread, "Event": noted.new_event}
    monkeypatch.setattr(authclient.watch, "threading", types.SimpleNamespace(**names))
    return noted


def test_the_pauses_double_up_to_two_seconds_and_a_random_half_is_taken_off(
    scripted: AuthServer, new_trust: NewTrust, pauses: Pauses
) -> None:
    new_trust(scripted)
    for _ in range(40):
        scripted.next_watch().end()
    eventually(lambda: len(pauses.seconds) >= 40, "the pauses")
    assert max(pauses.seconds) <= LONGEST_PAUSE
    assert all(pause >= FIRST_PAUSE / 2 for pause in pauses.seconds)
    late = pauses.seconds[8:40]
    assert all(pause >= LONGEST_PAUSE / 2 for pause in late)
    assert max(late) - min(late) > LONGEST_PAUSE / 10, "not all clients come back at one moment"
    assert len(set(late)) > 16


def test_the_first_pause_is_a_tenth_of_a_second(scripted: AuthServer, new_trust: NewTrust, pauses: Pauses) -> None:
    new_trust(scripted)
    scripted.next_watch().end()
    scripted.next_watch().end()
    scripted.next_watch()
    for number, pause in enumerate(pauses.seconds[:2]):
        longest = FIRST_PAUSE * 2**number
        assert longest / 2 <= pause <= longest


def test_a_complete_view_makes_the_next_pause_short_again(
    scripted: AuthServer, new_trust: NewTrust, pauses: Pauses
) -> None:
    new_trust(scripted)
    for _ in range(6):
        scripted.next_watch().end()
    scripted.next_watch().say(FIRST()).end()
    scripted.next_watch()
    assert pauses.seconds[5] > LONGEST_PAUSE / 4
    assert pauses.seconds[6] <= FIRST_PAUSE


# --- the end ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """Yield an address that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def close_in_time(trust: Trust) -> None:
    threads = list(trust._watch.threads)
    begin = time.monotonic()
    trust.close()
    assert time.monotonic() - begin < 3.0
    assert not any(thread.is_alive() for thread in threads)


def test_close_ends_both_threads_while_it_is_connecting(new_trust: NewTrust) -> None:
    with black_hole() as address:
        close_in_time(new_trust(address))


def test_close_ends_both_threads_while_nobody_is_there(new_trust: NewTrust, heard: Heard) -> None:
    trust = new_trust(f"127.0.0.1:{free_port()}")
    eventually(lambda: heard.losses, "an attempt")
    close_in_time(trust)


def test_close_ends_both_threads_before_the_first_answer(scripted: AuthServer, new_trust: NewTrust) -> None:
    trust = new_trust(scripted)
    watch = scripted.next_watch()
    close_in_time(trust)
    assert watch.is_over.wait(SOON)


def test_close_ends_both_threads_while_streaming_and_the_view_stays(auth: AuthServer, new_trust: NewTrust) -> None:
    trust = new_trust(auth)
    assert trust.wait_until_ready(SOON)
    auth.revoke(ended())
    eventually(lambda: verdict(trust) == "SESSION_ENDED", "the rule")
    close_in_time(trust)
    assert verdict(trust) == "SESSION_ENDED"
    close_in_time(trust)  # Twice does no harm.


def opened_more_than(auth: AuthServer, count: int) -> bool:
    return len(auth.opened) > count


def connected(heard: Heard, times: int) -> bool:
    return heard.connections == times


def test_close_in_the_very_moment_of_opening_never_hangs(auth: AuthServer, new_trust: NewTrust) -> None:
    for round_ in range(12):
        trust = new_trust(auth)
        if round_ % 2:
            eventually(functools.partial(opened_more_than, auth, round_ // 2), "some stream")
        close_in_time(trust)


def test_close_soon_after_a_reconnection_prints_no_traceback(
    auth: AuthServer, new_trust: NewTrust, heard: Heard, complaints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authclient.watch, "FIRST_PAUSE", 0.002)
    for connections in range(2, 12, 2):
        trust = new_trust(auth)
        eventually(functools.partial(connected, heard, connections - 1), "the first connection")
        auth.cut()
        eventually(functools.partial(connected, heard, connections), "the second one")
        trust.close()
    until = time.monotonic() + 0.5
    eventually(lambda: complaints or time.monotonic() > until, "grpc's threads have had their time")
    assert complaints == []


def test_a_channel_that_was_given_is_left_open(auth: AuthServer) -> None:
    with grpc.insecure_channel(auth.address) as channel:
        with Trust(channel, audience="internal") as trust:
            assert trust.wait_until_ready(SOON)
        grpc.channel_ready_future(channel).result(SOON)


def test_close_during_many_questions_answers_each_of_them(auth: AuthServer, new_trust: NewTrust) -> None:
    held = threading.Event()
    auth.verify = lambda _request, _context: held.wait(SOON) and identity()
    trust = new_trust(auth)
    refusals: list[str] = []

    def ask() -> None:
        try:
            trust.ask(Ask(token()), 5.0)
        except Refused as refused:
            refusals.append(refused.reason)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(auth.shown) == 8, "the questions")
    trust.close()
    for thread in threads:
        thread.join(SOON)
    held.set()
    assert refusals == ["VERIFICATION_UNAVAILABLE"] * 8


# --- what goes wrong in those who listen ------------------------------------------------------------------------------


class Fragile(Heard):
    """An observer that fails at what it is told to fail at."""

    def __init__(self, *methods: str) -> None:
        super().__init__()
        for name in methods:
            setattr(self, name, self._fail)

    def _fail(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("the metrics are broken")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("method", ["connected", "disconnected", "key_set_refused", "listener"])
def test_a6_an_observer_that_fails_does_not_end_the_watch(auth: AuthServer, new_trust: NewTrust, method: str) -> None:
    fragile = Fragile(method)
    trust = new_trust(auth, observer=fragile)
    if method == "listener":
        trust.listen(fragile._fail)
    eventually(lambda: trust.view_age() < SOON, "a view")
    auth.cut()
    bad = key_set(forger("ES256"))
    bad.keys[0].alg = "none"
    auth.publish(bad)
    until = time.monotonic() + 1.0
    eventually(lambda: time.monotonic() > until, "a tick, and time for another stream")
    auth.revoke(ended())
    assert [thread.name for thread in trust._watch.threads if not thread.is_alive()] == []
    eventually(lambda: verdict(trust) == "SESSION_ENDED", "the rule", seconds=1.0)
    streams = len(auth.opened)
    until += 0.5
    eventually(lambda: time.monotonic() > until, "half a second")
    assert len(auth.opened) == streams, "the stream is not opened again and again"


# --- asking -----------------------------------------------------------------------------------------------------------

OTHER_CODES = [code for code in grpc.StatusCode if code.name not in {"OK", "UNAUTHENTICATED"}]
REFUSALS = ("SESSION_ENDED", "TOKEN_EXPIRED", "TOKEN_OUTDATED", "TOKEN_NOT_YET_VALID", "TOKEN_MISSING", "TOKEN_INVALID")


def reason_for(auth: AuthServer, trust: Trust, code: grpc.StatusCode, reason: str, domain: str = "authservice") -> str:
    """Return why a call is refused if Verify answers this."""
    auth.verify = lambda _request, context: refuse(context, code, reason, domain)
    with pytest.raises(Refused) as refused:
        trust.ask(Ask(token()), 5.0)
    return f"{refused.value.code.name} {refused.value.reason}"


def test_verify_that_neither_accepts_nor_refuses_leaves_the_token_undecided(auth: AuthServer, trust: Trust) -> None:
    found = {code.name: reason_for(auth, trust, code, "SESSION_ENDED") for code in OTHER_CODES}
    assert found == {code.name: "UNAVAILABLE VERIFICATION_UNAVAILABLE" for code in OTHER_CODES}
    assert len(found) == 15


def test_a_refusal_of_verify_is_passed_on_with_its_reason(auth: AuthServer, trust: Trust) -> None:
    unauthenticated = grpc.StatusCode.UNAUTHENTICATED
    found = {reason: reason_for(auth, trust, unauthenticated, reason) for reason in REFUSALS}
    assert found == {reason: f"UNAUTHENTICATED {reason}" for reason in REFUSALS}


def test_a_refusal_of_verify_without_a_reason_decides_nothing(auth: AuthServer, trust: Trust) -> None:
    for reason, domain in (("SOMETHING_NEW", "authservice"), ("SESSION_ENDED", "elsewhere"), ("", "")):
        found = reason_for(auth, trust, grpc.StatusCode.UNAUTHENTICATED, reason, domain)
        assert found == "UNAVAILABLE VERIFICATION_UNAVAILABLE"


def test_a_refusal_of_verify_with_a_reason_of_another_status_decides_nothing(auth: AuthServer, trust: Trust) -> None:
    for reason in ("ROLE_MISSING", "METHOD_WITHOUT_RULE", "STREAM_UNKNOWN"):
        found = reason_for(auth, trust, grpc.StatusCode.UNAUTHENTICATED, reason)
        assert found == "UNAVAILABLE VERIFICATION_UNAVAILABLE"


def test_verify_says_who_it_is_where_the_token_cannot_be_read_here(auth: AuthServer, trust: Trust) -> None:
    auth.verify = lambda _request, _context: identity(user_name="Grace", roles=["admin"], auth_methods=["pwd", "mfa"])
    text = token(gen=5)
    verified = trust.ask(Ask(text), 5.0)
    assert (verified.caller.identity.user_name, verified.has_mfa) == ("Grace", True)
    assert verified.roles == {"admin"}
    assert (verified.generation, verified.ends) == (5, SECONDS + 900)
    assert auth.shown == [text]


def test_an_answer_of_verify_without_an_identity_is_none(auth: AuthServer, trust: Trust) -> None:
    auth.verify = lambda _request, _context: type(identity())()
    with pytest.raises(Refused, match="VERIFICATION_UNAVAILABLE"):
        trust.ask(Ask(token()), 5.0)


def test_a_verify_that_never_answers_is_not_waited_for(auth: AuthServer, trust: Trust) -> None:
    held = threading.Event()
    auth.verify = lambda _request, _context: held.wait(SOON) and identity()
    begin = time.monotonic()
    with pytest.raises(Refused) as refused:
        trust.ask(Ask(token()), 0.2)
    held.set()
    assert refused.value.reason == "VERIFICATION_UNAVAILABLE"
    assert time.monotonic() - begin < 2.0
    with pytest.raises(Refused):
        trust.ask(Ask(token()), -1.0)  # The time is over already.


# --- who may be trusted -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [{"audience": ""}, {"audience": "a", "issuer": ""}, {"audience": "", "issuer": ""}])
def test_t8_without_issuer_and_audience_nothing_starts(scope: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="issuer and audience"):
        Trust("127.0.0.1:1", **scope)  # type: ignore[arg-type]


def test_a_token_is_not_in_what_a_trust_or_its_parts_show(trust: Trust) -> None:
    text = token()
    found = trust.judge.judge(text, 10.0)
    question = trust.judge.judge(text, 0.0)
    for part in (trust, found, question, trust.judge, trust.knowledge, Refused("TOKEN_INVALID", "why")):
        assert text not in repr(part)
        assert text.split(".")[2] not in repr(part)
