"""A guarded handler behaves as the same handler without a guard, for its caller.

Streaming handlers are run in another way under the interceptor, so each case runs on two servers and is compared.
"""

import threading
from collections.abc import Callable
from typing import Any

import grpc
from authclient import Trust

from tests.clients.guarded import KINDS, STREAMS, Guarded, Outcome, handler
from tests.clients.scripted import bearer, token
from tests.clients.serving.handler_cases import CASES, INITIAL, RAISING, TRAILING, Case, Pair, named


def differences(
    trust: Trust, patience: float | None, cases: list[Case], same: Callable[[Outcome], Any]
) -> dict[str, list[Any]]:
    handlers = named(cases)
    found = {}
    with Pair(trust, handlers, patience) as pair:
        for name in handlers:
            outcomes = pair.outcomes(name, name.rpartition("__")[2], b"one", b"two", b"three")
            if same(outcomes[0]) != same(outcomes[1]):
                found[name] = outcomes
    return found


def test_a_caller_cannot_tell_a_guarded_handler_from_another(trust: Trust, patience: float | None) -> None:
    assert differences(trust, patience, CASES, lambda outcome: outcome) == {}


def test_the_cases_are_what_their_names_say(trust: Trust) -> None:
    """Two servers that both answered nothing would be alike, too."""
    with Pair(trust, named([*CASES, *RAISING])) as pair:
        assert pair.outcomes("answers__stream_stream", "stream_stream", b"a", b"b")[1].messages == [b"a", b"b", b"!"]
        assert len(pair.outcomes("answers_much__unary_stream", "unary_stream")[1].messages) == 300
        metadata = pair.outcomes("sends_metadata__stream_unary", "stream_unary")[1]
        assert set(metadata.initial) >= set(INITIAL)
        assert set(metadata.trailing) >= set(TRAILING)
        midway = pair.outcomes("aborts_midway__unary_stream", "unary_stream")[1]
        assert (midway.code, midway.messages) == (grpc.StatusCode.DATA_LOSS, [b"one", b"two"])
        broken = pair.outcomes("raises_midway__stream_stream", "stream_stream")[1]
        assert (broken.code, broken.messages) == (grpc.StatusCode.UNKNOWN, [b"one"])


def test_a_handler_that_raises_ends_with_the_same_status_after_the_same_messages(
    trust: Trust, patience: float | None
) -> None:
    assert (
        differences(trust, patience, RAISING, lambda each: (each.code, each.messages, each.initial, each.trailing))
        == {}
    )


class OnlyNext:
    """An iterator that has no __iter__, which grpc does not ask for."""

    def __init__(self) -> None:
        self._left = [b"two", b"one"]

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        return self._left.pop()


UNUSUAL: dict[str, Any] = {
    "iterator": handler("unary_stream", lambda _request, _context: iter([b"one", b"two"])),
    "none_midway": handler("unary_stream", lambda _request, _context: iter([b"one", None, b"two"])),
    "only_next": handler("unary_stream", lambda _request, _context: OnlyNext()),
    "nothing_returned": handler("stream_unary", lambda _requests, _context: None),
    "no_iterator": handler("stream_stream", lambda _requests, _context: None),
}
BROKEN: dict[str, Any] = {
    kind: getattr(grpc, f"{kind}_rpc_method_handler")(
        (lambda _argument, _context: iter([b"one", b"two"]))
        if kind.endswith("_stream")
        else (lambda _argument, _context: b"one"),
        response_serializer=lambda _answer: 1 / 0,
    )
    for kind in KINDS
}


def test_iterators_of_any_make_are_answered_alike(trust: Trust, patience: float | None) -> None:
    with Pair(trust, UNUSUAL, patience) as pair:
        for name in ("iterator", "none_midway"):
            plain, guarded = pair.outcomes(name, "unary_stream")
            assert plain == guarded, name
            assert plain.messages


def test_an_iterator_without_iter_is_answered_alike(trust: Trust, patience: float | None) -> None:
    with Pair(trust, UNUSUAL, patience) as pair:
        plain, guarded = pair.outcomes("only_next", "unary_stream")
        assert plain.messages == [b"one", b"two"]
        assert plain == guarded


def test_a_client_streaming_handler_that_returns_nothing_fails_alike(trust: Trust, patience: float | None) -> None:
    with Pair(trust, UNUSUAL, patience) as pair:
        plain, guarded = pair.outcomes("nothing_returned", "stream_unary")
        assert plain.code is not grpc.StatusCode.OK
        assert plain == guarded


def broken_answers(trust: Trust | None, patience: float | None, kinds: tuple[str, ...]) -> tuple[list[Any], bool]:
    """Return how calls end whose answer cannot be written, and whether the server can be stopped afterwards."""
    with Guarded(trust, BROKEN, patience=patience) as server:
        outcomes = [server.call(kind, metadata=bearer(token())) for kind in kinds]
    return [(each.code, each.details, each.messages) for each in outcomes], server.has_stopped


def test_an_answer_that_cannot_be_written_fails_alike(trust: Trust, patience: float | None) -> None:
    plain, guarded = (broken_answers(each, patience, ("unary_unary",)) for each in (None, trust))
    assert plain == guarded
    assert plain[0][0][0] is grpc.StatusCode.INTERNAL


def test_an_answer_of_a_stream_that_cannot_be_written_fails_alike(trust: Trust, patience: float | None) -> None:
    plain, guarded = (broken_answers(each, patience, STREAMS) for each in (None, trust))
    assert plain == guarded


def test_a_handler_keeps_the_pool_and_the_way_it_asked_grpc_for(trust: Trust, patience: float | None) -> None:
    def direct(_request: bytes, context: Any, send: Callable[[bytes | None], None]) -> None:
        def work() -> None:
            for number in range(3):
                send(b"%d" % number)
            send(None)

        threading.Thread(target=work).start()

    direct.experimental_non_blocking = True  # type: ignore[attr-defined]
    with Pair(trust, {"direct": handler("unary_stream", direct)}, patience) as pair:
        plain, guarded = pair.outcomes("direct", "unary_stream")
    assert plain.messages == [b"0", b"1", b"2"]
    assert plain == guarded
