"""What is taken from the inside of grpcio, and all of it.

grpcio's synchronous server gives a call a thread as soon as its headers are there, and the thread waits for the
request: sixteen callers who send headers and nothing else stop a server of sixteen threads. Here the serving thread
itself begins to read the request, and a call is handed on once that is complete. From then on it goes the ordinary way
in the pool of its method, or is answered together with others.

On the wire a method stays what it is. To grpc it is one that streams both ways, because those begin before a request is
there; and it names a pool whose `submit` is our own. grpc calls that on its serving thread, holding the locks of the
call and of the server, with the parts of the call, and takes what it returns for the future of the handler.

`problems` says what this grpcio lacks of that; `entrance.trial` tries it with real calls. Leans on grpcio 1.85.
"""

import inspect
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import grpc
import structlog
from grpc import _common as common
from grpc import _server as core
from grpc._cython import cygrpc  # type: ignore[attr-defined]

log = structlog.get_logger()

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Received: TypeAlias = "Callable[[Call], None]"

_NO_FLAGS = 0
_FUNCTIONS = {
    "_abort": ["state", "call", "code", "details"],
    "_is_rpc_state_active": ["state"],
    "_possibly_finish_call": ["state", "token"],
    "_select_thread_pool_for_behavior": ["behavior", "default_thread_pool"],
    "_status": ["rpc_event", "state", "serialized_response"],
    "_stream_response_in_pool": [
        "rpc_event", "state", "behavior", "argument_thunk", "request_deserializer", "response_serializer"
    ],
    "_unary_response_in_pool": [
        "rpc_event", "state", "behavior", "argument_thunk", "request_deserializer", "response_serializer"
    ],
}  # fmt: skip
_STATE = {"callbacks", "client", "code", "condition", "context", "details", "due", "statused", "trailing_metadata"}


def grpc_version() -> str:
    """Return the version of the installed grpcio."""
    return str(grpc.__version__)


def problems() -> list[str]:
    """Return what the installed grpcio lacks of what is used here, in words; nothing if all is there."""
    found = []
    for name, expected in _FUNCTIONS.items():
        function = getattr(core, name, None)
        if function is None or list(inspect.signature(function).parameters) != expected:
            found.append(f"grpc._server.{name} is not as expected")
    state = getattr(core, "_RPCState", None)
    if state is None or not vars(state()).keys() >= _STATE:
        found.append("grpc._server._RPCState is not as expected")
    if not hasattr(core, "_RECEIVE_MESSAGE_TOKEN") or not hasattr(cygrpc, "ReceiveMessageOperation"):
        found.append("the receiving of messages is not as expected")
    return found


class Call:
    """One call, from its headers to its end. To grpc it is the future of its handler.

    Attributes:
        message: the request as it came, once it is there.
        since: reading of time.monotonic() when the headers came.
        until: the same when the caller's time is over; for whoever answers it to set.
        ended_at: the same when the answer was handed to grpc, which sends it when the caller reads; None before.
    """

    __slots__ = ("_event", "_handler", "_over", "_peer", "_received", "_state", "ended_at", "message", "since", "until")

    def __init__(self, event: Any, state: Any, handler: Handler, received: Received) -> None:
        self._event = event
        self._state = state
        self._handler = handler
        self._received = received
        self._over: Callable[[Any], None] | None = None
        self._peer = ""
        self.message: bytes | None = None
        self.since = self.until = time.monotonic()
        self.ended_at: float | None = None

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        """Remember what grpc wants to hear when the handler has returned. Comes before the request does."""
        self._over = call

    def when_closed(self, call: Callable[[], None]) -> None:
        """Have something called on the serving thread when nothing of the call is left. For `begin` alone."""
        self._state.callbacks.append(call)

    @property
    def metadata(self) -> Any:
        """What the caller sent beside the request: pairs of key and value."""
        return self._event.invocation_metadata

    @property
    def peer(self) -> str:
        """The other end of the connection, as grpc spells it."""
        if not self._peer:
            self._peer = common.decode(self._event.call.peer())
        return self._peer

    @property
    def waits_since(self) -> float | None:
        """Since when the caller is waited for, to send the request or to read the answer. None while it is not."""
        return self.since if self.message is None and self.ended_at is None else self.ended_at

    def remaining(self) -> float:
        """Return the seconds until the caller's deadline; some centuries if it has none."""
        return float(self._event.call_details.deadline) - time.time()

    def is_active(self) -> bool:
        """Tell whether the caller still waits for an answer."""
        return bool(core._is_rpc_state_active(self._state))

    def cancel(self) -> None:
        """Let go of the call, whatever was or was not said."""
        self._event.call.cancel()

    def run_in(self, pool: ThreadPoolExecutor, finished: Callable[["Call"], None]) -> None:
        """Have the handler run as grpc would, in the pool that it names or else in this one.

        `finished` is called in the thread that ran it.
        """
        handler = self._handler
        serve = core._stream_response_in_pool if handler.response_streaming else core._unary_response_in_pool
        behavior: Any = handler.unary_stream if handler.response_streaming else handler.unary_unary

        def work() -> None:
            try:
                self._state.context.run(
                    serve,
                    self._event,
                    self._state,
                    behavior,
                    self._request,
                    handler.request_deserializer,
                    handler.response_serializer,
                )
            finally:
                self._finish()
                finished(self)

        core._select_thread_pool_for_behavior(behavior, pool).submit(work)

    def answer(self, message: bytes) -> None:
        """End with a serialized response, unless the call has ended already."""
        self._end(message)

    def refuse(self, status: grpc.Status) -> None:
        """End with a status, unless the call has ended already."""
        self._end(None, status)

    def _end(self, message: bytes | None, status: grpc.Status | None = None) -> None:
        state = self._state
        with state.condition:
            if core._is_rpc_state_active(state):
                if status:
                    state.code, state.details = status.code, common.encode(status.details)
                    state.trailing_metadata = status.trailing_metadata
                core._status(self._event, state, message)
            # Under the same lock: grpc's serving thread takes it as soon as the answer has left, and holds it while it
            # waits for the interpreter. To ask for it again cost two changes of threads for each answer.
            over, self._over = self._over, None
        self._tell(over)

    def begin(self) -> None:
        """Begin to read the request. On the serving thread, from `submit` alone."""
        self._event.call.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), self._take)
        self._state.due.add(core._RECEIVE_MESSAGE_TOKEN)

    def _take(self, event: Any) -> Any:
        """Take the request, or learn that there is none. Runs on the serving thread."""
        state = self._state
        self.message = event.batch_operations[0].message()
        if self.message is not None:
            try:
                self._received(self)
            except Exception:  # It would end the serving thread, and all calls with it.
                log.exception("call_lost")
                self.cancel()
                self._finish()
        else:
            self._miss_request()
        with state.condition:
            return core._possibly_finish_call(state, core._RECEIVE_MESSAGE_TOKEN)

    def _miss_request(self) -> None:
        state = self._state
        with state.condition:
            if core._is_rpc_state_active(state):
                text = f'"{common.decode(self._event.call_details.method)}" requires exactly one request message.'
                core._abort(state, self._event.call, cygrpc.StatusCode.unimplemented, common.encode(text))
        self._finish()

    def _request(self) -> Any:
        """Return the request for the handler, or None if there is nobody or nothing to answer."""
        if self.message is None or not core._is_rpc_state_active(self._state):
            return None
        request = common.deserialize(self.message, self._handler.request_deserializer)
        if request is None:
            with self._state.condition:
                text = b"Exception deserializing request!"
                core._abort(self._state, self._event.call, cygrpc.StatusCode.internal, text)
        return request

    def _finish(self) -> None:
        """Tell grpc that the handler has returned, once."""
        with self._state.condition:
            over, self._over = self._over, None
        self._tell(over)

    def _tell(self, over: Callable[[Any], None] | None) -> None:
        if over:
            self.ended_at = time.monotonic()
            over(self)


class _Reception(ThreadPoolExecutor):
    """What grpc takes for the pool of a handler. Begins to read the request, and never runs anything."""

    def __init__(self, handler: Handler, begun: Received, received: Received) -> None:
        super().__init__(1)  # It starts a thread for what is submitted to it, so there never is one.
        self._handler = handler
        self._begun = begun
        self._received = received

    def submit(self, _run: Any, _work: Any, event: Any, state: Any, *_: Any) -> Any:  # type: ignore[override]
        """Return the call. Runs on the serving thread."""
        call = Call(event, state, self._handler, self._received)
        self._begun(call)
        call.begin()
        return call


def received_first(handler: Handler, begun: Received, received: Received) -> Handler:
    """Return a handler for grpc that gives a call away only once its request is there.

    Args:
        handler: of one request, with one answer or many.
        begun: called on the serving thread with each call whose headers have come.
        received: called on the serving thread with each call whose request has come. Must not block or raise.
    """

    def never(*_: object) -> None:
        raise AssertionError("grpc runs handlers in another way than grpcio 1.85 does")

    never.experimental_non_blocking = True  # type: ignore[attr-defined]  # grpc reads both from here
    never.experimental_thread_pool = _Reception(handler, begun, received)  # type: ignore[attr-defined]
    return grpc.stream_stream_rpc_method_handler(never)


def in_pool(handler: Handler, pool: ThreadPoolExecutor, wrap: Callable[[Any], Any]) -> Handler:
    """Return a handler of several requests and answers that runs in a pool of its own, wrapped."""
    behavior: Any = wrap(handler.stream_stream or handler.stream_unary)
    behavior.experimental_thread_pool = pool  # grpc reads it from here
    make = grpc.stream_stream_rpc_method_handler if handler.response_streaming else grpc.stream_unary_rpc_method_handler
    return make(behavior, handler.request_deserializer, handler.response_serializer)
