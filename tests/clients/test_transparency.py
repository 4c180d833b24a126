"""A guarded handler behaves as the same handler without a guard: what the caller sees, and what the handler sees.

Streaming handlers are run in another way under the interceptor, so each case runs on two servers and is compared.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from authclient import Trust

from tests.clients.guarded import KINDS, STREAMS, Guarded, Outcome, begin, ending, handler, path
from tests.clients.scripted import SOON, bearer, eventually, token

INITIAL = (("a-first-entry", "one"), ("binary-bin", b"\x00\xff"))
TRAILING = (("a-last-entry", "two"), ("other-bin", b"\xff\x00"))
Work = Callable[[Any, Any], Iterator[bytes]]


def of_each_kind(work: Work) -> dict[str, Any]:
    """Return handlers that answer what `work` yields, once or as a stream."""

    def once(argument: Any, context: Any) -> bytes:
        return b"".join(work(argument, context))

    def many(argument: Any, context: Any) -> Iterator[bytes]:
        yield from work(argument, context)

    return {kind: handler(kind, many if kind.endswith("_stream") else once) for kind in KINDS}


def heard_of(argument: Any) -> list[bytes]:
    return [argument] if isinstance(argument, bytes) else list(argument)


# --- the cases --------------------------------------------------------------------------------------------------------


def answers(argument: Any, context: Any) -> Iterator[bytes]:
    yield from heard_of(argument)
    yield b"!"


def answers_nothing(argument: Any, context: Any) -> Iterator[bytes]:
    yield from ()


def answers_without_listening(argument: Any, context: Any) -> Iterator[bytes]:
    yield b"done already"


def listens_to_one(argument: Any, context: Any) -> Iterator[bytes]:
    yield argument if isinstance(argument, bytes) else next(argument)


def answers_much(argument: Any, context: Any) -> Iterator[bytes]:
    for number in range(300):
        yield b"%d " % number * 50


def sends_metadata(argument: Any, context: Any) -> Iterator[bytes]:
    context.send_initial_metadata(INITIAL)
    context.set_trailing_metadata(TRAILING)
    yield from heard_of(argument)


def sends_initial_metadata_twice(argument: Any, context: Any) -> Iterator[bytes]:
    context.send_initial_metadata(INITIAL)
    with pytest.raises(ValueError, match="no longer allowed"):
        context.send_initial_metadata(INITIAL)
    yield b"once"


def sets_a_code(argument: Any, context: Any) -> Iterator[bytes]:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    context.set_details("no such order: ü")
    context.set_trailing_metadata(TRAILING)
    yield b"an answer all the same"


def sets_a_code_and_answers_nothing(argument: Any, context: Any) -> Iterator[bytes]:
    context.set_code(grpc.StatusCode.ABORTED)
    yield from ()


def sets_details_only(argument: Any, context: Any) -> Iterator[bytes]:
    context.set_details("all is well")
    yield b"ok"


def aborts(argument: Any, context: Any) -> Iterator[bytes]:
    context.set_trailing_metadata(TRAILING)
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "sold out")
    yield b"never"


def aborts_midway(argument: Any, context: Any) -> Iterator[bytes]:
    yield b"one"
    yield b"two"
    context.abort(grpc.StatusCode.DATA_LOSS, "half of it is gone")


def aborts_with_ok(argument: Any, context: Any) -> Iterator[bytes]:
    yield b"one"
    context.abort(grpc.StatusCode.OK, "this makes no sense")


class _Status(grpc.Status):
    code = grpc.StatusCode.OUT_OF_RANGE
    details = "past the end"
    trailing_metadata = TRAILING


def aborts_with_a_status(argument: Any, context: Any) -> Iterator[bytes]:
    yield b"one"
    context.abort_with_status(_Status())


def raises(argument: Any, context: Any) -> Iterator[bytes]:
    raise KeyError("boom")
    yield b"never"


def raises_midway(argument: Any, context: Any) -> Iterator[bytes]:
    yield b"one"
    raise OSError("boom")


def raises_with_a_code(argument: Any, context: Any) -> Iterator[bytes]:
    context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
    context.set_details("enough")
    yield b"one"
    raise OSError("boom")


def compresses(argument: Any, context: Any) -> Iterator[bytes]:
    context.set_compression(grpc.Compression.Gzip)
    yield b"x" * 1000
    context.disable_next_message_compression()
    yield b"y" * 1000


def asks_its_context(argument: Any, context: Any) -> Iterator[bytes]:
    is_a_context = isinstance(context, grpc.ServicerContext)  # Named, or mypy would believe in the stubs of that class.
    assert is_a_context
    yield str(context.is_active()).encode()
    yield str(5 < context.time_remaining() <= SOON).encode()
    yield context.peer().rpartition(":")[0].encode()
    yield str(dict(context.invocation_metadata())["a-question"]).encode()
    context.set_code(grpc.StatusCode.CANCELLED)
    yield str(context.code()).encode()
    context.set_details("d")
    yield context.details()
    context.set_trailing_metadata(TRAILING)
    yield str(context.trailing_metadata()).encode()
    yield str(context.add_callback(lambda: None)).encode()


CASES: list[Work] = [
    answers,
    answers_nothing,
    answers_without_listening,
    listens_to_one,
    answers_much,
    sends_metadata,
    sends_initial_metadata_twice,
    sets_a_code,
    sets_a_code_and_answers_nothing,
    sets_details_only,
    aborts,
    aborts_midway,
    aborts_with_ok,
    aborts_with_a_status,
    compresses,
    asks_its_context,
]
RAISING: list[Work] = [raises, raises_midway, raises_with_a_code]


class Pair:
    """The same handlers with and without a guard."""

    def __init__(self, trust: Trust, handlers: dict[str, Any]) -> None:
        self.servers = [Guarded(None, handlers), Guarded(trust, handlers)]

    def __enter__(self) -> "Pair":
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.__exit__()

    def outcomes(self, name: str, kind: str, *messages: bytes) -> list[Outcome]:
        """Return how a call ends without a guard, and with it."""
        metadata = (*bearer(token()), ("a-question", "?"))
        return [server.call(kind, *messages, name=name, metadata=metadata) for server in self.servers]


def named(cases: list[Work]) -> dict[str, Any]:
    return {f"{case.__name__}__{kind}": each for case in cases for kind, each in of_each_kind(case).items()}


def differences(trust: Trust, cases: list[Work], same: Callable[[Outcome], Any]) -> dict[str, list[Any]]:
    handlers = named(cases)
    found = {}
    with Pair(trust, handlers) as pair:
        for name in handlers:
            outcomes = pair.outcomes(name, name.rpartition("__")[2], b"one", b"two", b"three")
            if same(outcomes[0]) != same(outcomes[1]):
                found[name] = outcomes
    return found


def test_a_caller_cannot_tell_a_guarded_handler_from_another(trust: Trust) -> None:
    assert differences(trust, CASES, lambda outcome: outcome) == {}


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


def test_a_handler_that_raises_ends_with_the_same_status_after_the_same_messages(trust: Trust) -> None:
    assert differences(trust, RAISING, lambda each: (each.code, each.messages, each.initial, each.trailing)) == {}


# --- handlers of an unusual make --------------------------------------------------------------------------------------


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


def test_iterators_of_any_make_are_answered_alike(trust: Trust, request: pytest.FixtureRequest) -> None:
    with Pair(trust, UNUSUAL) as pair:
        for name in ("iterator", "none_midway"):
            plain, guarded = pair.outcomes(name, "unary_stream")
            assert plain == guarded, name
            assert plain.messages


def test_an_iterator_without_iter_is_answered_alike(trust: Trust) -> None:
    with Pair(trust, UNUSUAL) as pair:
        plain, guarded = pair.outcomes("only_next", "unary_stream")
        assert plain.messages == [b"one", b"two"]
        assert plain == guarded


def test_a_client_streaming_handler_that_returns_nothing_fails_alike(trust: Trust) -> None:
    with Pair(trust, UNUSUAL) as pair:
        plain, guarded = pair.outcomes("nothing_returned", "stream_unary")
        assert plain.code is not grpc.StatusCode.OK
        assert plain == guarded


def broken_answers(trust: Trust | None, kinds: tuple[str, ...]) -> tuple[list[Any], bool]:
    """Return how calls end whose answer cannot be written, and whether the server can be stopped afterwards."""
    with Guarded(trust, BROKEN) as server:
        outcomes = [server.call(kind, metadata=bearer(token())) for kind in kinds]
    return [(each.code, each.details, each.messages) for each in outcomes], server.has_stopped


def test_an_answer_that_cannot_be_written_fails_alike(trust: Trust) -> None:
    plain, guarded = (broken_answers(each, ("unary_unary",)) for each in (None, trust))
    assert plain == guarded
    assert plain[0][0][0] is grpc.StatusCode.INTERNAL


def test_an_answer_of_a_stream_that_cannot_be_written_fails_alike(trust: Trust) -> None:
    plain, guarded = (broken_answers(each, STREAMS) for each in (None, trust))
    assert plain == guarded


def test_a_handler_keeps_the_pool_and_the_way_it_asked_grpc_for(trust: Trust) -> None:
    def direct(_request: bytes, context: Any, send: Callable[[bytes | None], None]) -> None:
        def work() -> None:
            for number in range(3):
                send(b"%d" % number)
            send(None)

        threading.Thread(target=work).start()

    direct.experimental_non_blocking = True  # type: ignore[attr-defined]
    with Pair(trust, {"direct": handler("unary_stream", direct)}) as pair:
        plain, guarded = pair.outcomes("direct", "unary_stream")
    assert plain.messages == [b"0", b"1", b"2"]
    assert plain == guarded


# --- when the caller goes away ----------------------------------------------------------------------------------------


class Watched:
    """Streaming handlers that wait, and note how they end."""

    def __init__(self) -> None:
        self.entered, self.left, self.told = threading.Event(), threading.Event(), threading.Event()
        self.how: list[str] = []

    def _work(self, argument: Any, context: Any) -> Iterator[bytes]:
        context.add_callback(self.told.set)
        try:
            yield b"begun"
            self.entered.set()
            if isinstance(argument, bytes):
                while True:
                    yield b"." * 10
                    if not context.is_active():
                        break
                self.how.append("inactive")
            for _ in argument:
                pass
            self.how.append("requests ended")
        except GeneratorExit:
            self.how.append("closed")
            raise
        except BaseException as error:
            self.how.append(type(error).__name__)
            raise
        finally:
            self.left.set()

    @property
    def handlers(self) -> dict[str, Any]:
        """One for each streaming kind."""
        return {kind: each for kind, each in of_each_kind(self._work).items() if kind in STREAMS}


class Open:
    """Requests that do not end before they are told to."""

    def __init__(self) -> None:
        self._end = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield b"one"
        self._end.wait(SOON)

    def end(self) -> None:
        """Let go."""
        self._end.set()


def gone(trust: Trust | None, kind: str, leave: Callable[[Any], None], timeout: float | None) -> tuple[Any, ...]:
    """Let a caller go away during a call, and return what the handler and the caller saw."""
    watched, requests = Watched(), Open()
    with Guarded(trust, watched.handlers) as server:
        messages: Any = requests if kind.startswith("stream_") else [b"one"]
        call = begin(server.channel, kind, path(kind), messages, bearer(token()), timeout)
        assert watched.entered.wait(SOON)
        leave(call)
        assert watched.left.wait(SOON), "the handler stops"
        assert watched.told.wait(SOON), "callbacks run"
        requests.end()
        if trust:
            eventually(lambda: server.leases == 0, "the lease is forgotten")
        eventually(call.done if hasattr(call, "done") else lambda: not call.is_active(), "the end")
        return call.code(), sorted(set(watched.how))


def alike(plain: list[str], guarded: list[str]) -> None:
    """Fail unless two handlers ended alike. Whether requests end, or raise, grpc itself does not settle."""
    either = {"RpcError", "requests ended"}
    assert plain
    assert guarded
    assert plain == guarded or set(plain + guarded) <= either


@pytest.mark.parametrize("kind", STREAMS)
def test_a_caller_who_hangs_up_stops_the_handler_as_without_a_guard(trust: Trust, kind: str) -> None:
    plain, guarded = (gone(each, kind, lambda call: call.cancel(), None) for each in (None, trust))
    assert plain[0] is guarded[0] is grpc.StatusCode.CANCELLED
    alike(plain[1], guarded[1])


@pytest.mark.parametrize("kind", STREAMS)
def test_a_deadline_stops_the_handler_as_without_a_guard(trust: Trust, kind: str) -> None:
    plain, guarded = (gone(each, kind, lambda _call: None, 0.3) for each in (None, trust))
    assert plain[0] is guarded[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    alike(plain[1], guarded[1])


def test_a_server_that_stops_ends_guarded_streams_too(trust: Trust) -> None:
    for each in (None, trust):
        watched, requests = Watched(), Open()
        with Guarded(each, watched.handlers) as server:
            call = begin(server.channel, "stream_stream", path("stream_stream"), requests, bearer(token()))
            assert next(call) == b"begun"
            eventually(watched.entered.is_set, "the handler")
            started = time.monotonic()
            server._server.stop(0.1).wait(SOON)
            assert time.monotonic() - started < 5
            assert watched.left.wait(SOON)
            requests.end()
            with pytest.raises(grpc.RpcError):
                list(call)
            assert ending(call, []).code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
            assert not each or server.leases == 0


def test_calls_leave_no_lease_however_they_end(trust: Trust) -> None:
    with Guarded(trust, named([*CASES, *RAISING])) as server:
        for case in (*CASES, *RAISING):
            for kind in STREAMS:
                server.call(kind, name=f"{case.__name__}__{kind}", metadata=(*bearer(token()), ("a-question", "?")))
        eventually(lambda: server.leases == 0, "no stream is open")
