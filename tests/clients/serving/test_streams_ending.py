"""Open streams end with what they were let in by."""

import threading
import time
from typing import Any

import grpc
import pytest
from authapi.v1.rule_pb2 import Rule
from authclient import Trust, find_identity
from google.protobuf.duration_pb2 import Duration

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, asking_threads, eventually
from tests.clients.guarded import STREAMS, UNAUTHENTICATED, UNAVAILABLE, Guarded, path, summary
from tests.clients.scripted import SECONDS, bearer, ended, identity, outdated, refuse, token, uuid
from tests.clients.serving.open_streams import Stream, Waiting, all_open, all_open_of, entered
from tests.clients.stand_ins import Hands, Heard, unreachable


def test_a_revoked_session_ends_its_streams_while_their_handlers_wait(
    auth: AuthServer, waiting_shop: Guarded, waiting: Waiting, heard: Heard
) -> None:
    streams, other = all_open(waiting_shop, waiting, token()), Stream(waiting_shop, "unary_stream", token(sid=uuid(7)))
    [context] = entered(waiting)
    begun = time.monotonic()
    auth.revoke(ended())
    assert [summary(stream.end()) for stream in streams] == ["UNAUTHENTICATED SESSION_ENDED"] * 3
    assert time.monotonic() - begun < 2.0
    assert not waiting.released.is_set(), "no handler was needed for that"
    assert sorted(heard.refusals) == sorted((path(kind), "SESSION_ENDED", True) for kind in STREAMS)
    eventually(lambda: len(waiting.told) == 3, "the handlers' own callbacks")
    assert other.is_open
    assert find_identity(context)
    assert waiting_shop.leases == 1
    other.leave()
    eventually(lambda: waiting_shop.leases == 0, "nothing is kept")


def test_a_handler_that_listens_is_woken_by_the_end(auth: AuthServer, waiting_shop: Guarded, waiting: Waiting) -> None:
    stream = Stream(waiting_shop, "stream_stream", token(), method="listening")
    entered(waiting)
    assert next(stream.call) == b"one"
    assert all(waiting.listens.acquire(timeout=SOON) for _ in range(2)), "it listens for the second request"
    auth.revoke(ended())
    assert summary(stream.end()) == "UNAUTHENTICATED SESSION_ENDED"
    eventually(lambda: waiting.finished, "the handler stops listening")


def test_a_handler_can_tell_a_refused_stream_from_one_whose_caller_is_done(
    auth: AuthServer, waiting_shop: Guarded, waiting: Waiting
) -> None:
    stream = Stream(waiting_shop, "stream_stream", token(), method="listening")
    entered(waiting)
    assert next(stream.call) == b"one"
    assert all(waiting.listens.acquire(timeout=SOON) for _ in range(2)), "it listens for the second request"
    auth.revoke(ended())
    stream.end()
    eventually(lambda: waiting.finished, "the handler stops listening")
    assert waiting.finished == ["cut off"], "half an upload must not look like a whole one"


@pytest.mark.parametrize("rule", [Rule(any_role=["reader"]), Rule(authenticated=True, mfa=True)])
def test_outdated_tokens_end_streams_whose_rule_asks_for_a_role_or_mfa(
    auth: AuthServer, timed: Trust, waiting: Waiting, rule: Rule
) -> None:
    with Guarded(timed, waiting.handlers, dict.fromkeys(waiting.handlers, rule)) as shop:
        streams = all_open(shop, waiting, token(gen=2, amr=["pwd", "otp", "mfa"]))
        newer = Stream(shop, "unary_stream", token(gen=3, amr=["pwd", "otp", "mfa"]))
        entered(waiting)
        auth.revoke(outdated(3))
        assert [summary(stream.end()) for stream in streams] == ["UNAUTHENTICATED TOKEN_OUTDATED"] * 3
        assert newer.is_open
        waiting.released.set()


def test_a_stream_whose_rule_asks_for_neither_role_nor_mfa_outlives_a_change_of_roles(
    auth: AuthServer, timed: Trust, waiting_shop: Guarded, waiting: Waiting
) -> None:
    streams = all_open(waiting_shop, waiting, token(gen=2))
    auth.revoke(outdated(3))
    eventually(lambda: timed.knowledge.view.generations, "the rule")
    again = waiting_shop.call("unary_stream", metadata=bearer(token(gen=2)))
    assert summary(again) == "UNAUTHENTICATED TOKEN_OUTDATED", "a new call needs a token of today"
    assert all(stream.is_open for stream in streams)
    auth.revoke(ended())
    assert [summary(stream.end()) for stream in streams] == ["UNAUTHENTICATED SESSION_ENDED"] * 3


@pytest.mark.parametrize(
    ("rule", "ends"),
    [(Rule(authenticated=True), False), (Rule(any_role=["reader"]), True), (Rule(authenticated=True, mfa=True), True)],
)
def test_what_verify_says_of_an_outdated_token_counts_where_the_rule_asks_for_a_role_or_mfa(
    auth: AuthServer, timed: Trust, hands: Hands, waiting: Waiting, rule: Rule, ends: bool
) -> None:
    rule.max_staleness.CopyFrom(Duration(seconds=2))
    auth.verify = lambda _, context: refuse(context, UNAUTHENTICATED, "TOKEN_OUTDATED")
    with Guarded(timed, waiting.handlers, dict.fromkeys(waiting.handlers, rule)) as shop:
        stream = Stream(shop, "unary_stream", token(amr=["pwd", "otp", "mfa"]))
        entered(waiting)
        auth.uptime = lambda: 0.0  # From now on the view gets old.
        hands.now += 3.0
        eventually(lambda: auth.shown, "Verify is asked")
        if ends:
            assert summary(stream.end()) == "UNAUTHENTICATED TOKEN_OUTDATED"
        else:
            eventually(lambda: not asking_threads(), "it has answered")
            assert stream.is_open
            assert shop.leases == 1
        stream.leave()
        waiting.released.set()


def test_a_stream_ends_thirty_seconds_after_its_token(
    auth: AuthServer, waiting_shop: Guarded, waiting: Waiting, timed: Trust
) -> None:
    streams = all_open(waiting_shop, waiting, token(exp=SECONDS + 100))
    auth.time = SECONDS + 120  # What is left of the leeway is for the time that the test takes.
    eventually(lambda: timed.knowledge.now() >= SECONDS + 120, "the new time")
    ticks = time.monotonic() + 0.2
    eventually(lambda: time.monotonic() > ticks, "some ticks")
    assert all(stream.is_open for stream in streams)
    auth.time = SECONDS + 130
    assert [summary(stream.end()) for stream in streams] == ["UNAUTHENTICATED TOKEN_EXPIRED"] * 3
    assert waiting_shop.leases == 0


def test_a_stream_expires_by_this_process_own_clock_while_nobody_tells_the_time(
    auth: AuthServer, waiting_shop: Guarded, waiting: Waiting, hands: Hands
) -> None:
    streams = all_open(waiting_shop, waiting, token(exp=SECONDS + 100))
    auth.stop()
    hands.now += 131.0
    assert [summary(stream.end()) for stream in streams] == ["UNAUTHENTICATED TOKEN_EXPIRED"] * 3


def test_s3_a_stale_view_asks_verify_and_ends_the_streams_that_nobody_vouches_for(
    auth: AuthServer, waiting_shop: Guarded, waiting: Waiting, hands: Hands
) -> None:
    good, bad = token(sid=uuid(1)), token(sid=uuid(2))

    def verify(request: Any, context: Any) -> Any:
        return identity() if request.access_token == good else refuse(context, UNAUTHENTICATED, "SESSION_ENDED")

    auth.verify = verify
    streams = {text: all_open_of(waiting_shop, waiting, text) for text in (good, bad)}
    auth.is_scripted = True  # Silent from now on.
    auth.cut()
    eventually(lambda: len(auth.opened) > 1, "the silent stream")
    hands.now += 11.0
    assert [summary(stream.end()) for stream in streams[bad]] == ["UNAUTHENTICATED SESSION_ENDED"] * 3
    eventually(lambda: auth.shown.count(good) >= 1, "the question")
    eventually(lambda: not asking_threads(), "the answer is taken")
    assert all(stream.is_open for stream in streams[good])
    asked = len(auth.shown)
    ticks = time.monotonic() + 0.2
    eventually(lambda: time.monotonic() > ticks, "some ticks")
    assert len(auth.shown) == asked == 2, "each token once, and an answer counts for as long as a view would"
    auth.stop()
    hands.now += 11.0
    assert [summary(stream.end()) for stream in streams[good]] == ["UNAVAILABLE VERIFICATION_UNAVAILABLE"] * 3
    assert waiting_shop.leases == 0


def test_where_no_thread_can_be_had_to_ask_in_streams_end_and_later_ones_are_asked_about(
    auth: AuthServer, waiting_shop: Guarded, waiting: Waiting, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse_to(thread: threading.Thread) -> None:
        if thread.name == "authclient-streams":
            raise RuntimeError("can't start new thread")
        start(thread)

    auth.verify = lambda _request, _context: identity()
    auth.is_scripted = True  # Silent from now on.
    streams = all_open(waiting_shop, waiting, token())
    auth.cut()
    eventually(lambda: len(auth.opened) > 1, "the silent stream")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse_to)
        hands.now += 11.0
        assert [summary(stream.end()) for stream in streams] == ["UNAVAILABLE VERIFICATION_UNAVAILABLE"] * 3
    others = all_open(waiting_shop, waiting, token(sid=uuid(7)))
    asked = len(auth.shown)
    hands.now += 11.0
    eventually(lambda: len(auth.shown) > asked, "the question")
    assert all(stream.is_open for stream in others)


def test_a_staleness_below_two_seconds_counts_as_two(
    auth: AuthServer, timed: Trust, waiting: Waiting, hands: Hands
) -> None:
    auth.verify = lambda _request, _context: identity()
    rule = Rule(authenticated=True, max_staleness=Duration())
    with Guarded(timed, waiting.handlers, dict.fromkeys(waiting.handlers, rule)) as shop:
        streams = all_open(shop, waiting, token())
        assert len(auth.shown) == 3, "to be let in"
        auth.is_scripted = True
        auth.cut()
        eventually(lambda: len(auth.opened) > 1, "the silent stream")
        auth.verify = lambda _request, context: refuse(context, UNAVAILABLE)
        hands.now += 2.0 - timed.view_age() - 0.01
        ticks = time.monotonic() + 0.2
        eventually(lambda: time.monotonic() > ticks, "some ticks")
        assert all(stream.is_open for stream in streams)
        hands.now += 0.02
        assert [summary(stream.end()) for stream in streams] == ["UNAVAILABLE VERIFICATION_UNAVAILABLE"] * 3
        waiting.released.set()


def test_a_stream_under_an_observing_or_public_rule_is_left_alone(
    auth: AuthServer, timed: Trust, waiting: Waiting
) -> None:
    rules = {
        "unary_stream": Rule(public=True),
        "stream_unary": Rule(authenticated=True, observe=True),
        "stream_stream": Rule(authenticated=True, observe=True),
        "listening": Rule(public=True),
    }
    with Guarded(timed, waiting.handlers, rules) as shop:
        streams = all_open_of(shop, waiting, token())
        assert shop.leases == 0
        auth.revoke(ended())
        eventually(lambda: timed.knowledge.view.sessions, "the rule")
        ticks = time.monotonic() + 0.1
        eventually(lambda: time.monotonic() > ticks, "some ticks")
        assert all(stream.is_open for stream in streams)
        waiting.released.set()
        assert [stream.end().code for stream in streams] == [grpc.StatusCode.OK] * 3


def test_a6_a_failing_observer_does_not_keep_a_revoked_stream_open(
    auth: AuthServer, waiting_shop: Guarded, waiting: Waiting, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = all_open(waiting_shop, waiting, token())
    monkeypatch.setattr(heard, "refused", unreachable)
    auth.revoke(ended())
    assert [summary(stream.end()) for stream in streams] == ["UNAUTHENTICATED SESSION_ENDED"] * 3
