"""A caller who goes away stops a guarded handler as one without a guard."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from authclient import Trust

from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import STREAMS, Guarded, begin, ending, path
from tests.clients.scripted import bearer, token
from tests.clients.serving.handler_cases import CASES, RAISING, named, of_each_kind


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


def gone(
    trust: Trust | None, patience: float | None, kind: str, leave: Callable[[Any], None], timeout: float | None
) -> tuple[Any, ...]:
    """Let a caller go away during a call, and return what the handler and the caller saw.

    A handler that has not begun within the deadline, on a machine that is busy, is given four times as long.
    """
    watched, requests = Watched(), Open()
    with Guarded(trust, watched.handlers, patience=patience) as server:
        messages: Any = requests if kind.startswith("stream_") else [b"one"]
        call = begin(server.channel, kind, path(kind), messages, bearer(token()), timeout)
        if not watched.entered.wait(SOON if timeout is None else timeout):
            requests.end()
            assert timeout is not None
            assert timeout < SOON, "the handler begins"
            return gone(trust, patience, kind, leave, 4 * timeout)
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
def test_a_caller_who_hangs_up_stops_the_handler_as_without_a_guard(
    trust: Trust, patience: float | None, kind: str
) -> None:
    plain, guarded = (gone(each, patience, kind, lambda call: call.cancel(), None) for each in (None, trust))
    assert plain[0] is guarded[0] is grpc.StatusCode.CANCELLED
    alike(plain[1], guarded[1])


@pytest.mark.parametrize("kind", STREAMS)
def test_a_deadline_stops_the_handler_as_without_a_guard(trust: Trust, patience: float | None, kind: str) -> None:
    plain, guarded = (gone(each, patience, kind, lambda _call: None, 0.3) for each in (None, trust))
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


def test_calls_leave_no_lease_however_they_end(trust: Trust, patience: float | None) -> None:
    with Guarded(trust, named([*CASES, *RAISING]), patience=patience) as server:
        for case in (*CASES, *RAISING):
            for kind in STREAMS:
                server.call(kind, name=f"{case.__name__}__{kind}", metadata=(*bearer(token()), ("a-question", "?")))
        eventually(lambda: server.leases == 0, "no stream is open")
