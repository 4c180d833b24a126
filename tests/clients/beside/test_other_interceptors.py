"""Any interceptor that wraps handlers may stand before the guard or behind it, on a synchronous server."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from authapi.v1 import stream_service_pb2 as stream_api
from authapi.v1 import stream_service_pb2_grpc as stream_rpc
from authclient import Trust, current_identity
from authclient._serving.sync.apart import Apart
from opentelemetry import trace

from tests.clients.auth_server import AuthServer
from tests.clients.beside.others import OTHERS, Counted, Watched, traced
from tests.clients.beside.tracing import Spans
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import KINDS, STREAMS, Guarded, every_kind, handler, summary
from tests.clients.noted import Noted
from tests.clients.scripted import SECONDS, USER, bearer, ended, token
from tests.clients.serving.handler_cases import CASES, Pair, compresses, named
from tests.clients.serving.open_streams import NAME, Stream, Waiting, all_open, entered


@pytest.fixture(params=["before", "behind", "around"])
def place(request: pytest.FixtureRequest) -> str:
    """Where the other interceptor stands."""
    found: str = request.param
    return found


@pytest.fixture(params=OTHERS)
def others(request: pytest.FixtureRequest, place: str) -> dict[str, Any]:
    """Return what a server is given beside the guard."""
    make = OTHERS[request.param]
    return {where: [make()] for where in ("before", "behind") if place in (where, "around")}


@pytest.fixture(autouse=True)
def no_handler_is_left() -> Iterator[None]:
    """Fail a test after which a thread still waits for a handler that is over."""
    yield
    eventually(lambda: not handler_threads(), "the threads of handlers are gone")


def handler_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "guarded-handler"]


def test_calls_of_each_kind_are_answered_and_know_who_calls(
    trust: Trust, noted: Noted, others: dict[str, Any], patience: float | None
) -> None:
    with Guarded(trust, noted.by_kind, patience=patience, **others) as shop:
        for kind in KINDS:
            assert shop.call(kind, metadata=bearer(token())).messages == [b"hello"], kind
            assert summary(shop.call(kind)) == "UNAUTHENTICATED TOKEN_MISSING"
    assert [caller.user_id for caller in noted.callers] == [USER] * 4


def test_streams_end_while_their_handlers_wait(
    auth: AuthServer, timed: Trust, waiting: Waiting, others: dict[str, Any], patience: float | None
) -> None:
    with Guarded(timed, waiting.handlers, patience=patience, **others) as shop:
        streams = all_open(shop, waiting, token())
        listening = Stream(shop, "stream_stream", token(), method="listening")
        entered(waiting)
        auth.revoke(ended())
        assert [summary(stream.end()) for stream in [*streams, listening]] == ["UNAUTHENTICATED SESSION_ENDED"] * 4
        assert not waiting.released.is_set(), "no handler was needed for that"
        eventually(lambda: waiting.finished == ["cut off"], "half an upload must not look like a whole one")
        waiting.released.set()


def test_streams_are_renewed(timed: Trust, auth: AuthServer, waiting: Waiting, others: dict[str, Any]) -> None:
    with Guarded(timed, waiting.handlers, **others) as shop:
        stream = Stream(shop, "stream_stream", token(exp=SECONDS + 100), name=NAME, method="listening")
        entered(waiting)
        fresh = bearer(token(exp=SECONDS + 1000))
        request = stream_api.RenewStreamRequest(stream_id=NAME)
        renewed = stream_rpc.StreamServiceStub(shop.channel).RenewStream(request, metadata=fresh, timeout=SOON)
        assert renewed.expire_time.seconds == SECONDS + 1000
        auth.time = SECONDS + 200
        eventually(lambda: timed.knowledge.now() >= SECONDS + 200, "the new time")
        stream.said.say(b"two")
        assert [next(stream.call), next(stream.call)] == [b"one", b"two"]
        stream.leave()


def test_a_caller_who_leaves_ends_what_was_begun_for_them(
    timed: Trust, waiting: Waiting, others: dict[str, Any]
) -> None:
    with Guarded(timed, waiting.handlers, **others) as shop:
        streams = all_open(shop, waiting, token())
        for stream in streams:
            stream.leave()
        eventually(lambda: shop.leases == 0, "nothing is kept")
        waiting.released.set()


def around(make: Callable[[], Any]) -> dict[str, Any]:
    return {"before": [make()], "behind": [make()]}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_a_caller_cannot_tell_a_guarded_handler_from_another(trust: Trust, make: Callable[[], Any]) -> None:
    # OpenTelemetry's context fails where it is asked not to compress.
    handlers = named([case for case in CASES if case is not compresses])
    with Pair(trust, handlers, **around(make)) as pair:
        for name in handlers:
            plain, guarded = pair.outcomes(name, name.rpartition("__")[2], b"one", b"two", b"three")
            assert plain == guarded, name


def fails_midway(argument: Any, context: Any) -> Iterator[bytes]:
    yield b"one"
    raise OSError("boom")


def fails_at_once(argument: Any, context: Any) -> Iterator[bytes]:
    raise OSError("boom")


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_a_handler_that_raises_ends_alike(trust: Trust, make: Callable[[], Any]) -> None:
    handlers = named([fails_midway, fails_at_once])
    with Pair(trust, handlers, **around(make)) as pair:
        for name in handlers:
            plain, guarded = pair.outcomes(name, name.rpartition("__")[2], b"one")
            assert (plain.code, plain.messages) == (guarded.code, guarded.messages), name
            assert plain.code is grpc.StatusCode.UNKNOWN


def test_those_before_the_guard_see_each_kind_as_what_it_is(trust: Trust, noted: Noted, patience: float | None) -> None:
    watched, counted = Watched(), Counted()
    before = [counted.interceptor, watched]
    with Guarded(trust, noted.by_kind, patience=patience, before=before) as shop:
        for kind in KINDS:
            assert shop.call(kind, metadata=bearer(token())).messages == [b"hello"]
    assert watched.seen == [(kind, kind.startswith("unary"), kind.endswith("unary")) for kind in KINDS]
    assert counted.kinds == {kind: kind for kind in KINDS}


def test_a_handler_is_traced_as_part_of_its_call(trust: Trust, patience: float | None) -> None:
    with_sdk = Spans()
    spans: list[Any] = []

    def work(requests: list[bytes], context: Any) -> list[bytes]:
        spans.append(trace.get_current_span().name)  # type: ignore[attr-defined]  # of the SDK
        assert current_identity(context).user_id == USER
        return requests

    with Guarded(trust, every_kind(work), patience=patience, before=[traced()]) as shop:
        for kind in KINDS:
            assert shop.call(kind, metadata=bearer(token())).messages == [b"hello"]
    assert [name.rpartition("/")[2] for name in spans] == list(KINDS)
    eventually(lambda: with_sdk.names == set(spans), "they end with their calls")


def test_a_pool_behind_another_interceptor_is_told_of_once(
    trust: Trust, noted: Noted, caplog: pytest.LogCaptureFixture
) -> None:
    with Guarded(trust, noted.by_kind, patience=SOON, before=[traced()]) as shop:
        for kind in KINDS:
            shop.call(kind, metadata=bearer(token()))
    assert len([record for record in caplog.records if "Put it first" in record.getMessage()]) == 1


def test_one_who_calls_the_guard_itself_may_wrap_what_it_returns(trust: Trust, noted: Noted) -> None:
    class Around(Watched):
        guard: Any

        def intercept_service(self, continuation: Any, details: Any) -> Any:
            wrap: Any = super().intercept_service
            return wrap(lambda each: self.guard.intercept_service(continuation, each), details)

    around = Around()
    with Guarded(trust, noted.by_kind) as made:
        around.guard = made.interceptor
        with Guarded(None, noted.by_kind, before=[around]) as shop:
            for kind in KINDS:
                assert shop.call(kind, metadata=bearer(token())).messages == [b"hello"]
                assert summary(shop.call(kind)) == "UNAUTHENTICATED TOKEN_MISSING"


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_for_which_there_is_no_thread_is_refused(
    trust: Trust, noted: Noted, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def no_thread(self: Apart, context: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Apart, "__init__", no_thread)
    with Guarded(trust, noted.by_kind, before=[traced()]) as shop:
        assert summary(shop.call(kind, metadata=bearer(token()))) == "UNAVAILABLE VERIFICATION_UNAVAILABLE"
    assert noted.callers == []


def test_a_stream_that_nobody_ever_reads_leaves_nothing_behind(trust: Trust) -> None:
    class Drops(Watched):
        def intercept(self, method: Any, request: Any, context: Any, method_name: str) -> Any:
            method(request, context)
            return iter([b"of mine"])

    stays = {"stays": handler("unary_stream", lambda request, context: iter([request]))}
    with Guarded(trust, stays, before=[Drops()]) as shop:
        assert shop.call("unary_stream", name="stays", metadata=bearer(token())).messages == [b"of mine"]
