"""Streams about which too little is known: each token is asked about, and none goes on for long without an answer."""

import threading
import time
from typing import Any

import pytest
from authclient import Trust
from authclient._serving import leases

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, asking_threads, eventually
from tests.clients.guarded import UNAUTHENTICATED, UNAVAILABLE, Guarded, handler, summary
from tests.clients.scripted import identity, refuse, token, uuid
from tests.clients.serving.open_streams import NAME, Stream
from tests.clients.serving.test_streams_renewal import renew
from tests.clients.stand_ins import Hands
from tests.leftovers import leftover_calls

BEYOND = 11.0
"""Seconds after which a view is too old for a rule that leaves it open."""


def stays_open(_request: bytes, _context: Any, _send: Any) -> None:
    """Hold no thread."""


stays_open.experimental_non_blocking = True  # type: ignore[attr-defined]


def opened(shop: Guarded, count: int) -> list[Stream]:
    """Return so many streams, each of a session of its own."""
    made = [Stream(shop, "unary_stream", token(sid=uuid(number)), method="stays") for number in range(count)]
    eventually(lambda: shop.leases == count, "all are open")
    return made


def silence(auth: AuthServer, hands: Hands) -> None:
    """Let nobody hear what is revoked, for longer than the view may be old."""
    auth.is_scripted = True
    auth.cut()
    eventually(lambda: len(auth.opened) > 1, "the silent stream")
    hands.now += BEYOND


def test_a_slow_answer_about_one_keeps_no_other_waiting(auth: AuthServer, timed: Trust, hands: Hands) -> None:
    at_once = threading.Barrier(leases.ASKED_AT_ONCE)

    def verify(_request: Any, context: Any) -> Any:
        at_once.wait(leases.LEAST_STALENESS)  # Passes only if so many are asked about at the same time.
        refuse(context, UNAUTHENTICATED, "SESSION_ENDED")

    auth.verify = verify
    with Guarded(timed, {"stays": handler("unary_stream", stays_open)}) as shop:
        some = opened(shop, 2 * leases.ASKED_AT_ONCE)
        silence(auth, hands)
        assert {summary(stream.end()) for stream in some} == {"UNAUTHENTICATED SESSION_ENDED"}


def test_a_stream_that_is_ended_leaves_nothing_to_the_collector(auth: AuthServer, timed: Trust, hands: Hands) -> None:
    auth.verify = lambda _request, context: refuse(context, UNAUTHENTICATED, "SESSION_ENDED")
    with Guarded(timed, {"stays": handler("unary_stream", stays_open)}) as shop, leftover_calls() as found:
        some = opened(shop, 5)
        silence(auth, hands)
        assert {summary(stream.end()) for stream in some} == {"UNAUTHENTICATED SESSION_ENDED"}
        eventually(lambda: shop.leases == 0, "all are over")
        auth.cut()
    assert found == []


def test_streams_whose_turn_does_not_come_in_time_end(
    auth: AuthServer, timed: Trust, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "ASKED_AT_ONCE", 1)
    monkeypatch.setattr(leases, "ASKING_SECONDS", 0.5)
    slow = threading.Event()

    def verify(_request: Any, _context: Any) -> Any:
        slow.wait(0.2)
        return identity()

    auth.verify = verify
    with Guarded(timed, {"stays": handler("unary_stream", stays_open)}) as shop:
        some = opened(shop, 20)
        begun = time.monotonic()
        silence(auth, hands)
        eventually(lambda: sum(not stream.is_open for stream in some) > 15, "most of them have ended")
        assert time.monotonic() - begun < 5.0
        ended = [stream for stream in some if not stream.is_open]
        assert {summary(stream.end()) for stream in ended} == {"UNAVAILABLE VERIFICATION_UNAVAILABLE"}
        slow.set()
        for stream in some:
            stream.leave()


def test_an_answer_that_makes_no_sense_ends_them(auth: AuthServer, timed: Trust, hands: Hands) -> None:
    def verify(_request: Any, context: Any) -> Any:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\xff"),))
        context.abort(UNAUTHENTICATED, "")

    auth.verify = verify
    with Guarded(timed, {"stays": handler("unary_stream", stays_open)}) as shop:
        some = opened(shop, 2)
        silence(auth, hands)
        assert {summary(stream.end()) for stream in some} == {"UNAVAILABLE VERIFICATION_UNAVAILABLE"}


def test_an_answer_counts_from_when_it_was_asked_for(auth: AuthServer, timed: Trust, hands: Hands) -> None:
    def verify(_request: Any, _context: Any) -> Any:
        if len(auth.shown) == 1:
            hands.now += BEYOND  # So long does it take to arrive.
        return identity()

    auth.verify = verify
    with Guarded(timed, {"stays": handler("unary_stream", stays_open)}) as shop:
        (stream,) = opened(shop, 1)
        silence(auth, hands)
        eventually(lambda: len(auth.shown) == 2, "it is asked about again")
        eventually(lambda: not asking_threads(), "the answer is taken")
        assert stream.is_open
        auth.verify = lambda _, context: refuse(context, UNAVAILABLE, "STORAGE_UNAVAILABLE")
        stream.leave()


def test_an_answer_about_a_token_that_was_replaced_meanwhile_ends_nothing(
    auth: AuthServer, timed: Trust, hands: Hands
) -> None:
    first, second = token(), token(sid=uuid(5))
    may_answer = threading.Event()

    def verify(request: Any, context: Any) -> Any:
        if request.access_token == first:
            assert may_answer.wait(SOON)
            refuse(context, UNAUTHENTICATED, "SESSION_ENDED")
        return identity(session_id=uuid(5))

    auth.verify = verify
    with Guarded(timed, {"stays": handler("unary_stream", stays_open)}) as shop:
        renewed = Stream(shop, "unary_stream", first, name=NAME, method="stays")
        other = Stream(shop, "unary_stream", first, method="stays")
        eventually(lambda: shop.leases == 2, "both are open")
        silence(auth, hands)
        eventually(lambda: auth.shown, "the first token is asked about")
        assert renew(shop, second) == "900"
        may_answer.set()
        assert summary(other.end()) == "UNAUTHENTICATED SESSION_ENDED"
        eventually(lambda: not asking_threads(), "the answer is taken")
        assert renewed.is_open
        renewed.leave()
