"""A guarded service on a real socket, and calls to it in the four kinds."""

import queue
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from authapi.v1 import rule_pb2
from authclient import AuthInterceptor, reason_of
from authclient._serving.sync.patience import Patience
from authclient._serving.sync.waiting_room import WaitingRoom

from tests.clients.eventually import SOON
from tests.clients.protos import SERVICE, service_file

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
STREAMS = KINDS[1:]
SIGNED_IN = rule_pb2.Rule(authenticated=True)
PUBLIC = rule_pb2.Rule(public=True)
OK, UNAUTHENTICATED = grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED
UNAVAILABLE, DENIED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED


def path(name: str) -> str:
    """Return the full name of a method of the service."""
    return f"/{SERVICE}/{name}"


def handler(kind: str, behavior: Callable[..., Any]) -> Any:
    """Return a handler that takes and answers bytes."""
    return getattr(grpc, f"{kind}_rpc_method_handler")(behavior)


def every_kind(work: Callable[[list[bytes], Any], list[bytes]]) -> dict[str, Any]:
    """Return one handler for each kind, that does the same: takes what was sent and answers."""

    def unary_unary(request: bytes, context: Any) -> bytes:
        return b"".join(work([request], context))

    def unary_stream(request: bytes, context: Any) -> Iterator[bytes]:
        yield from work([request], context)

    def stream_unary(requests: Iterable[bytes], context: Any) -> bytes:
        return b"".join(work(list(requests), context))

    def stream_stream(requests: Iterable[bytes], context: Any) -> Iterator[bytes]:
        yield from work(list(requests), context)

    return {
        each.__name__: handler(each.__name__, each) for each in (unary_unary, unary_stream, stream_unary, stream_stream)
    }


class Guarded:
    """The service.

    Args:
        authority: None for no interceptor at all.
        rules: by the name of the method.
        handlers: by the name of the method.
        patience: seconds that requests may take to come; None for a guard that leaves waiting to grpc.
        before: interceptors that stand before the guard.
        behind: and behind it.
        options: of the server.
    """

    def __init__(
        self,
        authority: Any,
        handlers: dict[str, Any],
        rules: Mapping[str, rule_pb2.Rule | None] | None = None,
        *,
        threads: int = 32,
        extra: Iterable[Any] = (),
        patience: float | None = None,
        before: Iterable[Any] = (),
        behind: Iterable[Any] = (),
        options: Sequence[tuple[str, int]] = (),
    ) -> None:
        rules = dict.fromkeys(handlers, SIGNED_IN) if rules is None else rules
        self._pool = ThreadPoolExecutor(threads, "working")
        patiently: dict[str, Any] = {"pool": self._pool, "request_patience": patience} if patience else {}
        self.interceptor = AuthInterceptor(authority, service_file(**rules), **patiently) if authority else None
        guard = [self.interceptor] if self.interceptor else []
        self._server = grpc.server(self._pool, interceptors=[*before, *guard, *behind], options=options)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers), *extra))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self.channel = self.new_channel()
        self.has_stopped = False

    def new_channel(self) -> grpc.Channel:
        """Return a connection of its own."""
        return grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[("grpc.use_local_subchannel_pool", 1)])

    @property
    def _patiences(self) -> list[Patience]:
        own = [self.interceptor._patience, self.interceptor._renewals] if self.interceptor else []
        return [each for each in own if isinstance(each, Patience)]

    @property
    def _rooms(self) -> list[WaitingRoom]:
        apart = self.interceptor._renewals if self.interceptor else None
        return [each._room for each in self._patiences] + ([apart] if isinstance(apart, WaitingRoom) else [])

    @property
    def awaited(self) -> int:
        """How many calls have not sent their request, of those that the interceptor waits for."""
        return sum(len(each._waiting) for each in self._patiences)

    @property
    def leases(self) -> int:
        """How many streams are guarded right now."""
        assert self.interceptor
        return len(self.interceptor._leases)

    def __enter__(self) -> "Guarded":
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self.has_stopped = self._server.stop(0).wait(2.0)
        self._pool.shutdown(wait=self.has_stopped)
        for room in self._rooms:
            room.shutdown(wait=self.has_stopped)

    def call(self, kind: str, *messages: bytes, name: str | None = None, **options: Any) -> "Outcome":
        """Make one call and wait for its end."""
        return outcome(self.channel, kind, path(name or kind), messages or (b"hello",), **options)


@dataclass
class Outcome:
    """How a call ended."""

    code: grpc.StatusCode
    details: str
    messages: list[bytes] = field(default_factory=list)
    initial: list[tuple[str, Any]] = field(default_factory=list)
    trailing: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def reason(self) -> str | None:
        """The reason of the refusal."""
        return reason_of(self.trailing)

    @property
    def text(self) -> str:
        """Everything that the caller sees."""
        return f"{self.details} {self.messages} {self.initial} {self.trailing}"


def summary(found: Outcome) -> str:
    """Return the code and the reason of a refusal."""
    return f"{found.code.name} {found.reason}"


def outcome(
    channel: grpc.Channel,
    kind: str,
    method: str,
    messages: Iterable[bytes] = (b"hello",),
    metadata: Any = (),
    timeout: float = SOON,
    **options: Any,
) -> Outcome:
    """Make one call and wait for its end."""
    call = begin(channel, kind, method, messages, metadata, timeout, **options)
    answers = []
    try:
        if kind.endswith("_stream"):
            for answer in call:
                answers.append(answer)  # noqa: PERF402  # what came before an error counts
        else:
            answers.append(call.result())
    except grpc.RpcError:
        pass
    return ending(call, answers)


def ending(call: Any, answers: list[bytes]) -> Outcome:
    """Return how a call ended that is over."""
    return Outcome(
        call.code(),
        call.details(),
        answers,
        [(key, value) for key, value in call.initial_metadata() or ()],
        [(key, value) for key, value in call.trailing_metadata() or ()],
    )


def begin(
    channel: grpc.Channel,
    kind: str,
    method: str,
    messages: Iterable[bytes] = (b"hello",),
    metadata: Any = (),
    timeout: float | None = None,
    **options: Any,
) -> Any:
    """Begin a call."""
    multi = getattr(channel, kind)(method)
    argument = iter(messages) if kind.startswith("stream_") else next(iter(messages))
    make = multi if kind.endswith("_stream") else multi.future
    return make(argument, metadata=metadata, timeout=timeout, **options)


class Conversation:
    """What a caller sends in a stream, as it comes to their mind. Ends with `hang_up`, or with the call."""

    def __init__(self, *first: bytes) -> None:
        self._said: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.say(*first)

    def say(self, *messages: bytes) -> None:
        """Send messages."""
        for message in messages:
            self._said.put(message)

    def hang_up(self) -> None:
        """Send nothing more."""
        self._said.put(None)

    def __iter__(self) -> Iterator[bytes]:
        while (message := self._said.get()) is not None:
            yield message
