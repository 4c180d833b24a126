"""A call waits for the first view, and Verify is asked where the view does not settle it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from authapi.v1.rule_pb2 import Rule
from authclient import Trust
from google.protobuf.duration_pb2 import Duration

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import KINDS, SIGNED_IN, UNAUTHENTICATED, UNAVAILABLE, Guarded, summary
from tests.clients.noted import Noted
from tests.clients.scripted import SNAPSHOT_END, bearer, forger, identity, key_set, refuse, step, token
from tests.clients.stand_ins import Hands
from tests.clients.trusts import NewTrust


def test_a_call_before_the_first_view_waits_for_it(new_trust: NewTrust, noted: Noted) -> None:
    server = AuthServer(is_scripted=True).start()  # type: ignore[abstract]  # what it does not play answers UNIMPLEMENTED
    try:
        trust = new_trust(server, patience=SOON)
        watch = server.next_watch()
        with Guarded(trust, noted.by_kind) as shop, ThreadPoolExecutor(4) as callers:
            calls = [callers.submit(shop.call, kind, metadata=bearer(token())) for kind in KINDS]
            assert not any(call.done() for call in calls)
            watch.say(step(SNAPSHOT_END, opened=100.0, read=100.0, keys=key_set(forger("ES256"))))
            assert {call.result().code for call in calls} == {grpc.StatusCode.OK}
        assert server.shown == []
    finally:
        server.stop()


def test_a_call_waits_no_longer_than_the_patience_and_is_then_unavailable(new_trust: NewTrust, noted: Noted) -> None:
    trust = new_trust("127.0.0.1:1", patience=0.3)
    with Guarded(trust, noted.by_kind) as shop:
        begin = time.monotonic()
        found = shop.call("unary_unary", metadata=bearer(token()))
        waited = time.monotonic() - begin
        assert summary(found) == "UNAVAILABLE VERIFICATION_UNAVAILABLE"
        assert 0.3 <= waited < 3.0
        assert summary(shop.call("unary_unary")) == "UNAUTHENTICATED TOKEN_MISSING", "that needs no view"
    assert noted.callers == []


# Which of the two comes first is not settled: the guard waits to the very end of the deadline.
IN_TIME = {UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def test_a_call_whose_deadline_is_shorter_than_the_patience_waits_no_longer(new_trust: NewTrust, noted: Noted) -> None:
    trust = new_trust("127.0.0.1:1", patience=5.0)
    with Guarded(trust, noted.by_kind) as shop:
        begin = time.monotonic()
        found = shop.call("unary_unary", metadata=bearer(token()), timeout=0.3)
        assert found.code in IN_TIME
        assert time.monotonic() - begin < 2.0
    assert noted.callers == []


def test_a_verify_that_never_answers_lets_nobody_through(auth: AuthServer, trust: Trust, noted: Noted) -> None:
    held = threading.Event()
    auth.verify = lambda _request, _context: held.wait(SOON) and identity()
    always = Rule(authenticated=True, max_staleness=Duration())
    with Guarded(trust, noted.by_kind, dict.fromkeys(noted.by_kind, always)) as shop:
        begin = time.monotonic()
        found = shop.call("unary_unary", metadata=bearer(token()), timeout=0.3)
        assert time.monotonic() - begin < 2.0
    held.set()  # After the guard has given up, too.
    assert noted.callers == []
    assert found.code in IN_TIME


def test_a_staleness_of_zero_asks_each_time_and_believes_the_answer(
    auth: AuthServer, trust: Trust, noted: Noted
) -> None:
    always = Rule(authenticated=True, max_staleness=Duration())
    text = token()
    with Guarded(trust, noted.by_kind, dict.fromkeys(noted.by_kind, always)) as shop:
        auth.verify = lambda _request, _context: identity()
        for kind in KINDS:
            assert shop.call(kind, metadata=bearer(text)).code is grpc.StatusCode.OK
        assert auth.shown == [text] * 4
        auth.verify = lambda _request, context: refuse(context, UNAUTHENTICATED, "SESSION_ENDED")
        assert {summary(shop.call(kind, metadata=bearer(text))) for kind in KINDS} == {"UNAUTHENTICATED SESSION_ENDED"}
        auth.stop()
        begin = time.monotonic()
        found = {summary(shop.call(kind, metadata=bearer(text), timeout=2.0)) for kind in KINDS}
        assert found == {"UNAVAILABLE VERIFICATION_UNAVAILABLE"}
        assert time.monotonic() - begin < 4.0
    assert len(noted.callers) == 4


def test_s3_a_stale_view_asks_and_never_guesses(auth: AuthServer, new_trust: NewTrust, noted: Noted) -> None:
    hands = Hands()
    trust = new_trust(auth, monotonic=hands)
    assert trust.wait_until_ready(SOON)
    rules = {
        "unary_unary": SIGNED_IN,
        "unary_stream": Rule(authenticated=True, max_staleness=Duration(seconds=60)),
        "stream_unary": SIGNED_IN,
        "stream_stream": Rule(authenticated=True, max_staleness=Duration(seconds=1)),
    }
    auth.verify = lambda _request, _context: identity()
    text = token()
    with Guarded(trust, noted.by_kind, rules) as shop:
        auth.cut()
        auth.is_scripted = True  # Silent from now on.
        until = time.monotonic() + 0.3
        eventually(lambda: len(auth.opened) > 1 or time.monotonic() > until, "the silence")
        hands.now += 30.0
        for kind in KINDS:
            assert shop.call(kind, metadata=bearer(text)).code is grpc.StatusCode.OK
        assert auth.shown == [text] * 3, "one of the four may know less"
        auth.stop()
        found = {kind: summary(shop.call(kind, metadata=bearer(text))) for kind in KINDS}
        refused = "UNAVAILABLE VERIFICATION_UNAVAILABLE"
        assert found == dict.fromkeys(KINDS, refused) | {"unary_stream": "OK None"}
