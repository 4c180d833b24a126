"""Everything that a handler of a synchronous server may do, on a server with a guard and on one without."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from authclient import Trust

from tests.clients.eventually import SOON
from tests.clients.guarded import KINDS, Guarded, Outcome, handler
from tests.clients.scripted import bearer, token

INITIAL = (("a-first-entry", "one"), ("binary-bin", b"\x00\xff"))
TRAILING = (("a-last-entry", "two"), ("other-bin", b"\xff\x00"))
Case = Callable[[Any, Any], Iterator[bytes]]


def of_each_kind(work: Case) -> dict[str, Any]:
    """Return handlers that answer what `work` yields, once or as a stream."""

    def once(argument: Any, context: Any) -> bytes:
        return b"".join(work(argument, context))

    def many(argument: Any, context: Any) -> Iterator[bytes]:
        yield from work(argument, context)

    return {kind: handler(kind, many if kind.endswith("_stream") else once) for kind in KINDS}


def heard_of(argument: Any) -> list[bytes]:
    return [argument] if isinstance(argument, bytes) else list(argument)


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
    # A deadline is rounded up on its way (grpc-timeout has few digits), and read by a second clock.
    yield str(5 < context.time_remaining() < SOON + 1).encode()
    yield context.peer().rpartition(":")[0].encode()
    yield str(dict(context.invocation_metadata())["a-question"]).encode()
    context.set_code(grpc.StatusCode.CANCELLED)
    yield str(context.code()).encode()
    context.set_details("d")
    yield context.details()
    context.set_trailing_metadata(TRAILING)
    yield str(context.trailing_metadata()).encode()
    yield str(context.add_callback(lambda: None)).encode()


CASES: list[Case] = [
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
RAISING: list[Case] = [raises, raises_midway, raises_with_a_code]


class Pair:
    """The same handlers with and without a guard."""

    def __init__(self, trust: Trust, handlers: dict[str, Any], patience: float | None = None, **others: Any) -> None:
        self.servers = [Guarded(None, handlers, **others), Guarded(trust, handlers, patience=patience, **others)]

    def __enter__(self) -> "Pair":
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.__exit__()

    def outcomes(self, name: str, kind: str, *messages: bytes) -> list[Outcome]:
        """Return how a call ends without a guard, and with it."""
        metadata = (*bearer(token()), ("a-question", "?"))
        return [server.call(kind, *messages, name=name, metadata=metadata) for server in self.servers]


def named(cases: list[Case]) -> dict[str, Any]:
    """Return a handler of each kind for each case, by `case__kind`."""
    return {f"{case.__name__}__{kind}": each for case in cases for kind, each in of_each_kind(case).items()}
