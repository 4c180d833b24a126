"""Putting a session's token on the calls of a channel."""

import functools
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import grpc
from authapi.v1 import stream_service_pb2_grpc as rpc

from authclient._calling.held_tokens import NO_TOKEN, refuses_token
from authclient._calling.renewal import Counter
from authclient._calling.sync.renewals import Renewals
from authclient._wire.calls import can_end
from authclient._wire.metadata import STREAM_ENTRY, bearer, has_authorization, new_stream_name


class TokenSource(Protocol):
    """Where the tokens come from. Session is one; see there."""

    def access_token(self) -> str: ...
    def replace(self, refused: str) -> str: ...


def attach(channel: grpc.Channel, source: TokenSource, counter: Counter | None = None) -> grpc.Channel:
    """Return the channel with a token on every call. `counter` hears of renewals that have failed."""
    renewals = Renewals(source.access_token, rpc.StreamServiceStub(channel), counter)
    attached = grpc.intercept_channel(channel, _Attached(source, renewals))
    return _Channel(attached, grpc.intercept_channel(channel, _Futures(source)))


class _Channel(grpc.Channel):
    """A channel whose futures are kept apart.

    grpc tells an interceptor neither whether a call blocks nor, reliably, whether it is over: a future may have been
    refused before anybody could look at it, and whoever wants a future must not be kept waiting for a fresh token.
    """

    def __init__(self, channel: grpc.Channel, of_futures: grpc.Channel) -> None:
        self._channel = channel
        self._of_futures = of_futures

    def unary_unary(self, *arguments: Any, **named: Any) -> Any:
        blocking = self._channel.unary_unary(*arguments, **named)
        return _UnaryUnary(blocking, self._of_futures.unary_unary(*arguments, **named))

    def unary_stream(self, *arguments: Any, **named: Any) -> Any:
        return self._channel.unary_stream(*arguments, **named)

    def stream_unary(self, *arguments: Any, **named: Any) -> Any:
        return self._channel.stream_unary(*arguments, **named)

    def stream_stream(self, *arguments: Any, **named: Any) -> Any:
        return self._channel.stream_stream(*arguments, **named)

    def subscribe(self, callback: Callable[..., Any], try_to_connect: bool = False) -> None:
        self._channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[..., Any]) -> None:
        self._channel.unsubscribe(callback)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> "_Channel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _UnaryUnary(grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg]  # it has none when it runs
    def __init__(self, blocking: Any, of_futures: Any) -> None:
        self._blocking = blocking
        self._of_futures = of_futures

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._blocking(*arguments, **named)

    def with_call(self, *arguments: Any, **named: Any) -> Any:
        return self._blocking.with_call(*arguments, **named)

    def future(self, *arguments: Any, **named: Any) -> Any:
        return self._of_futures.future(*arguments, **named)


class _Futures(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, source: TokenSource) -> None:
        self._source = source

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        if has_authorization(details.metadata):
            return continuation(details, request)
        return continuation(_with(details, bearer(self._source.access_token())), request)


class _Attached(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    def __init__(self, source: TokenSource, renewals: Renewals) -> None:
        self._source = source
        self._renewals = renewals

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        if has_authorization(details.metadata):
            return continuation(details, request)
        token = self._source.access_token()
        call = continuation(_with(details, bearer(token)), request)
        if not refuses_token(call.code(), call.trailing_metadata()):
            return call
        fresh = _replacement(self._source, token)
        return continuation(_with(details, bearer(fresh)), request) if fresh else call

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        if has_authorization(details.metadata):
            return continuation(details, request)
        return _Answers(self._source, lambda token: self._open(continuation, details, request, token))

    def intercept_stream_unary(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        if has_authorization(details.metadata):
            return continuation(details, requests)
        return self._open(continuation, details, requests, self._source.access_token())

    def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        if has_authorization(details.metadata):
            return continuation(details, requests)
        return self._open(continuation, details, requests, self._source.access_token())

    def _open(self, continuation: Callable[..., Any], details: Any, request: Any, token: str) -> Any:
        """Open a stream that is renewed for as long as it lasts."""
        name = new_stream_name()
        self._renewals.add(name, token)
        try:
            call = continuation(_with(details, bearer(token), (STREAM_ENTRY, name)), request)
        except BaseException:
            self._renewals.forget(name)
            raise
        over = functools.partial(self._renewals.forget, name)
        if not can_end(call):
            return _noting_its_end(call, over)
        # What grpc makes of a call that has failed before it is returned takes no callbacks.
        if call.done() or not call.add_callback(over):
            over()
        return call


def _noting_its_end(answers: Iterator[Any], over: Callable[[], None]) -> Iterator[Any]:
    """Return the answers of a call that tells nobody when it ends, as others make of it that stand around the channel.

    Whoever has enough of them drops them: they are over then, too.
    """

    def each() -> Iterator[Any]:
        try:
            yield from answers
        finally:
            over()

    noting = each()
    weakref.finalize(noting, over).atexit = False
    return noting


class _Answers:
    """The answers of a stream, which is opened once more if its token is refused before the first of them."""

    def __init__(self, source: TokenSource, begin: Callable[[str], Any]) -> None:
        self._source = source
        self._begin = begin
        self._token = source.access_token()
        self._may_retry = True
        self._call = begin(self._token)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            answer = next(self._call)
        except grpc.RpcError as error:
            is_refused = self._may_retry and refuses_token(error.code(), error.trailing_metadata())
            self._may_retry = False
            fresh = _replacement(self._source, self._token) if is_refused else None
            if fresh is None:
                raise
            self._call = self._begin(fresh)
            return next(self._call)
        self._may_retry = False
        return answer


def _replacement(source: TokenSource, refused: str) -> str | None:
    """Return another token, or None if there is none: then the refusal stands."""
    try:
        return source.replace(refused)
    except NO_TOKEN:
        return None


class _Details(NamedTuple):
    method: Any
    timeout: Any
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any


def _with(details: Any, *entries: tuple[str, str]) -> _Details:
    metadata = (*(details.metadata or ()), *entries)
    return _Details(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready, details.compression
    )
