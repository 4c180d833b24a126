"""A call that does not send its request holds no working thread, and not for long any other."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authclient import AuthInterceptor, Trust
from authclient._serving.sync import patience as patience_module
from authclient._serving.sync import waiting_room
from authclient._serving.sync.waiting_room import WaitingRoom
from grpc_health.v1 import health, health_pb2

from tests.clients.aio_guarded import AioGuarded
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import OK, SIGNED_IN, Guarded, Outcome, begin, ending, handler, path
from tests.clients.protos import service_file
from tests.clients.scripted import GOOD, bearer, token
from tests.clients.serving.slow_client import SlowClient, Unsent, open_call

KINDS = ("unary_unary", "unary_stream")
WORKERS = 2
HEALTH, RENEW = "/grpc.health.v1.Health/Check", "/authapi.v1.StreamService/RenewStream"


class Worked:
    """Handlers that note what they were asked, and the thread that they ran in."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.threads: set[str] = set()

    def _note(self, request: bytes) -> bytes:
        self.requests.append(request)
        self.threads.add(threading.current_thread().name)
        return request

    @property
    def handlers(self) -> dict[str, Any]:
        """One of each kind that takes one request."""
        return {
            "unary_unary": handler("unary_unary", lambda request, _: self._note(request)),
            "unary_stream": handler("unary_stream", lambda request, _: iter([self._note(request)])),
        }


@pytest.fixture
def worked() -> Worked:
    return Worked()


def patient(trust: Trust, worked: Worked, seconds: float = SOON, **options: Any) -> Guarded:
    return Guarded(trust, worked.handlers, threads=WORKERS, patience=seconds, **options)


@contextlib.contextmanager
def silent(server: Guarded, kind: str, count: int, name: str | None = None) -> Iterator[list[Any]]:
    """Yield calls that have sent their headers, and go on saying nothing."""
    unsent = Unsent()
    with server.new_channel() as channel:
        calls = [open_call(channel, kind, unsent, name, metadata=GOOD) for _ in range(count)]
        yield calls  # And keep them: grpc cancels a call that nobody holds.
        unsent.say()


@pytest.mark.parametrize("kind", KINDS)
def test_calls_without_a_request_hold_no_working_thread(trust: Trust, worked: Worked, kind: str) -> None:
    with patient(trust, worked) as server, silent(server, kind, 200):
        eventually(lambda: server.awaited == 200, "they wait")
        for each in KINDS:
            assert server.call(each, b"now", metadata=GOOD, timeout=2.0).messages == [b"now"]
    assert worked.requests == [b"now", b"now"]
    assert not any(not name.startswith("working") for name in worked.threads), "handlers run where they always did"


@pytest.mark.parametrize("kind", KINDS)
def test_without_patience_as_many_as_there_are_threads_stop_the_server(trust: Trust, worked: Worked, kind: str) -> None:
    with Guarded(trust, worked.handlers, threads=WORKERS) as server, silent(server, kind, WORKERS) as calls:

        def busy() -> bool:
            return server.call("unary_unary", metadata=GOOD, timeout=0.5).code is grpc.StatusCode.DEADLINE_EXCEEDED

        eventually(busy, "the silent calls have come, and hold every thread")
        assert busy()
        for call in calls:
            call.cancel()


@pytest.mark.parametrize("name", [HEALTH, RENEW, "/orders.Unruled/Buy"])
def test_nor_do_calls_of_methods_that_need_no_rule_or_have_none(trust: Trust, worked: Worked, name: str) -> None:
    check = grpc.unary_unary_rpc_method_handler(
        health.HealthServicer().Check,
        health_pb2.HealthCheckRequest.FromString,
        health_pb2.HealthCheckResponse.SerializeToString,
    )
    extra = [
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check}),
        grpc.method_handlers_generic_handler("orders.Unruled", {"Buy": worked.handlers["unary_unary"]}),
    ]
    with patient(trust, worked, extra=extra) as server:
        with silent(server, "unary_unary", 2 * WORKERS, name):
            eventually(lambda: server.awaited == 2 * WORKERS, "they wait")
            assert server.call("unary_unary", metadata=GOOD, timeout=2.0).code is OK
        multi: Any = server.channel.unary_unary(HEALTH)
        assert multi(b"", timeout=SOON) == health_pb2.HealthCheckResponse(status=1).SerializeToString()


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_whose_request_does_not_come_is_told_so(trust: Trust, worked: Worked, kind: str) -> None:
    with patient(trust, worked, 0.3) as server, silent(server, kind, 3) as calls:
        ends = [ending(call, []) if kind == "unary_unary" else end_of(call) for call in calls]
        assert {(end.code, end.details) for end in ends} == {
            (
                grpc.StatusCode.DEADLINE_EXCEEDED,
                "The request did not come within 0.3 seconds of the call. Send it along with the call.",
            )
        }
        eventually(lambda: server.awaited == 0, "nobody waits")
    assert worked.requests == []


def end_of(call: Any) -> Outcome:
    with contextlib.suppress(grpc.RpcError):
        list(call)
    return ending(call, [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_late_request_is_served_where_others_are(trust: Trust, worked: Worked, kind: str) -> None:
    unsent = Unsent()
    with patient(trust, worked) as server:
        call = open_call(server.channel, kind, unsent, metadata=GOOD)
        eventually(lambda: server.awaited == 1, "it waits")
        unsent.say(b"late")
        assert (call.result(SOON) if kind == "unary_unary" else next(call)) == b"late"
    assert {name.split("_")[0] for name in worked.threads} == {"working"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("messages", [(), (b"one",), (b"one", b"two"), (b"",)], ids=["none", "one", "two", "empty"])
def test_any_number_of_requests_is_answered_as_by_grpc(
    trust: Trust, worked: Worked, kind: str, messages: tuple[bytes, ...]
) -> None:
    ends = []
    for server in (Guarded(None, worked.handlers), patient(trust, worked)):
        with server:
            unsent = Unsent()
            unsent.say(*messages)
            call = open_call(server.channel, kind, unsent, metadata=GOOD)
            end = ending(call, []) if kind == "unary_unary" else end_of(call)
            # Where none came, grpc says the same of `b'/shop.v1.Shop/unary_unary'`.
            ends.append((end.code, end.details.replace("b'", "").replace("'", ""), end.trailing))
    assert ends[0] == ends[1]
    assert (ends[0][0] is OK) is (messages != ())


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_cannot_be_read_is_answered_as_by_grpc(trust: Trust, kind: str) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("no request was read")

    make = getattr(grpc, f"{kind}_rpc_method_handler")
    handlers = {kind: make(never, request_deserializer=lambda data: {b"none": None}[data])}
    for message in (b"bad", b"none"):
        ends = []
        for server in (Guarded(None, handlers), Guarded(trust, handlers, patience=SOON)):
            with server:
                end = server.call(kind, message, metadata=GOOD)
                ends.append((end.code, end.details))
        assert ends == [(grpc.StatusCode.INTERNAL, "Exception deserializing request!")] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_caller_who_leaves_meanwhile_is_forgotten(trust: Trust, worked: Worked, kind: str) -> None:
    with patient(trust, worked) as server:
        with silent(server, kind, 5) as calls:
            eventually(lambda: server.awaited == 5, "they wait")
            for call in calls:
                call.cancel()
            eventually(lambda: server.awaited == 0, "nobody waits")
        assert server.call(kind, metadata=GOOD).code is OK
    assert worked.requests == [b"hello"]


def test_a_callers_own_deadline_comes_first(trust: Trust, worked: Worked) -> None:
    with patient(trust, worked) as server:
        call = open_call(server.channel, "unary_unary", Unsent(), metadata=GOOD, timeout=0.3)
        assert ending(call, []).code is grpc.StatusCode.DEADLINE_EXCEEDED
        eventually(lambda: server.awaited == 0, "nobody waits")


def test_the_one_who_has_waited_for_longest_gives_way(
    trust: Trust, worked: Worked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience_module, "MOST_WAITING", 3)
    with patient(trust, worked) as server, silent(server, "unary_unary", 1) as first:
        eventually(lambda: server.awaited == 1, "the first waits")
        with silent(server, "unary_unary", 3) as more:
            end = ending(first[0], [])
            assert (end.code, end.details) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "Too many calls wait for their requests. Try again.",
            )
            assert server.awaited == 3
            assert not any(call.done() for call in more)
            assert server.call("unary_unary", metadata=GOOD, timeout=2.0).code is OK


def test_the_token_is_judged_when_the_request_is_there(trust: Trust, worked: Worked) -> None:
    unsent = Unsent()
    with patient(trust, worked) as server:
        call = open_call(server.channel, "unary_unary", unsent, metadata=bearer(token()[:-8] + "AAAAAAAA"))
        eventually(lambda: server.awaited == 1, "it waits")
        unsent.say(b"late")
        assert ending(call, []).reason == "TOKEN_INVALID"
    assert worked.requests == []


def test_bytes_that_trickle_in_hold_nobody_up(trust: Trust, worked: Worked) -> None:
    """Headers only, half a message, and a byte at a time, by hand over HTTP/2."""
    with patient(trust, worked, 1.0) as server, contextlib.closing(SlowClient(server.port)) as slow:
        before = threading.active_count() - 1  # Without who reads for the slow client.
        calls = {kind: [slow.open(path(kind), token()) for _ in range(150)] for kind in KINDS}
        every = [number for numbers in calls.values() for number in numbers]
        for number in every[::3]:
            slow.send(number, b"\0\0\0\0\x0ahalf")
        eventually(lambda: server.awaited > 10 * WORKERS, "many more wait than there are threads")
        dribble = iter(b"\0\0\0\0\xff" + b"." * 200)
        answered = 0
        while server.awaited:
            for number in every[1::3]:
                slow.send(number, bytes([next(dribble, 46)]))
            # One that they held up would be answered once they are gone, and be the only one.
            assert server.call("unary_unary", b"now", metadata=GOOD, timeout=SOON).code is OK
            answered += 1
        eventually(lambda: slow.ended == set(every), "all are ended")
        slow.close()
        # Those who wait go with their calls, all but a few.
        kept = waiting_room.KEPT_THREADS + WORKERS + 1
        eventually(lambda: threading.active_count() <= before + kept, "the threads are gone")
    assert answered > 1
    assert set(worked.requests) == {b"now"}


def test_a_caller_who_reads_no_answer_holds_no_working_thread(trust: Trust) -> None:
    def much(_request: bytes, _context: Any) -> bytes:
        return b"." * 100_000

    handlers = {"unary_unary": handler("unary_unary", much)}
    rules: dict[str, Any] = {"unary_unary": SIGNED_IN}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Guarded(trust, handlers, rules, threads=WORKERS, patience=SOON))
        slow = stack.enter_context(contextlib.closing(SlowClient(server.port, window=0)))
        for _ in range(4 * WORKERS):
            slow.send(slow.open(path("unary_unary"), token()), b"\0\0\0\0\x02hi")
        eventually(lambda: server.awaited == 0, "their requests are there")
        for _ in range(2 * WORKERS):
            assert server.call("unary_unary", metadata=GOOD, timeout=SOON).code is OK


def test_a_handler_runs_in_the_pool_that_it_names(trust: Trust) -> None:
    names: list[str] = []

    def work(request: bytes, _context: Any) -> bytes:
        names.append(threading.current_thread().name)
        return request

    with ThreadPoolExecutor(1, "special") as pool:
        work.experimental_thread_pool = pool  # type: ignore[attr-defined]
        with Guarded(trust, {"unary_unary": handler("unary_unary", work)}, patience=SOON) as server:
            assert server.call("unary_unary", metadata=GOOD).code is OK
    assert names == ["special_0"]


def test_work_that_nobody_waits_for_is_not_begun(trust: Trust) -> None:
    """Of calls that stand in line for a working thread, as grpc does it for those that stand in its own line."""
    begun: list[bytes] = []
    entered, release = threading.Semaphore(0), threading.Event()

    def work(request: bytes, _context: Any) -> bytes:
        begun.append(request)
        entered.release()
        release.wait(SOON)
        return request

    with Guarded(trust, {"unary_unary": handler("unary_unary", work)}, threads=1, patience=SOON) as server:
        first = begin(server.channel, "unary_unary", path("unary_unary"), [b"first"], GOOD)
        assert entered.acquire(timeout=SOON)
        second = begin(server.channel, "unary_unary", path("unary_unary"), [b"second"], GOOD)
        assert server.interceptor
        eventually(lambda: server._pool._work_queue.qsize() == 1, "the second stands in line")
        second.cancel()
        third = begin(server.channel, "unary_unary", path("unary_unary"), [b"third"], GOOD)
        eventually(lambda: server._pool._work_queue.qsize() == 2, "the third, too")
        release.set()
        assert (first.result(SOON), third.result(SOON)) == (b"first", b"third")
    assert begun == [b"first", b"third"]


def test_a_room_grows_with_those_who_wait_and_shrinks_again() -> None:
    room = WaitingRoom()
    count = 2 * waiting_room.KEPT_THREADS
    together = threading.Barrier(count + 1)
    before = set(threading.enumerate())
    waits = [room.submit(together.wait, SOON) for _ in range(count)]
    together.wait(SOON)
    assert sorted(wait.result(SOON) for wait in waits)
    eventually(lambda: len(set(threading.enumerate()) - before) <= waiting_room.KEPT_THREADS, "the others are gone")
    with pytest.raises(ZeroDivisionError):
        room.submit(lambda: 1 / 0).result(SOON)
    room.shutdown()
    assert set(threading.enumerate()) <= before


def test_who_gets_no_thread_in_a_room_stands_in_line(monkeypatch: pytest.MonkeyPatch) -> None:
    start, room, released = threading.Thread.start, WaitingRoom(), threading.Event()

    def refuse_to(thread: threading.Thread) -> None:
        if thread.name == "authclient-waiting-extra":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_to)
    waiting = [room.submit(released.wait, SOON) for _ in range(waiting_room.KEPT_THREADS + 3)]
    released.set()
    assert [each.result(SOON) for each in waiting] == [True] * len(waiting)
    eventually(lambda: (room._busy, room._extra) == (0, 0), "nobody is counted")
    room.shutdown()


def test_patience_needs_the_pool_and_a_length(trust: Trust) -> None:
    file, pool = service_file(Buy=SIGNED_IN), ThreadPoolExecutor(1)
    assert AuthInterceptor(trust, file)._patience is None
    assert AuthInterceptor(trust, file, pool=pool)._patience
    for none in (None, 0, 0.0):
        assert AuthInterceptor(trust, file, pool=pool, request_patience=none)._patience is None
    with pytest.raises(ValueError, match="must be positive"):
        AuthInterceptor(trust, file, pool=pool, request_patience=-1.0)


class Arrivals(grpc.aio.ServerInterceptor):
    """Counts the calls whose headers are there."""

    def __init__(self) -> None:
        self.count = 0

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        self.count += 1
        return await continuation(handler_call_details)


@pytest.mark.parametrize("kind", KINDS)
def test_on_asyncio_a_call_without_a_request_holds_no_thread_at_all(trust: Trust, worked: Worked, kind: str) -> None:
    arrivals, unsent = Arrivals(), Unsent()
    with (
        ThreadPoolExecutor(1, "working") as pool,
        AioGuarded(trust, worked.handlers, pool=pool, before=[arrivals]) as server,
        server.new_channel() as channel,
    ):
        calls = [open_call(channel, kind, unsent, metadata=GOOD) for _ in range(200)]
        eventually(lambda: arrivals.count == 200, "all are there")
        for each in KINDS:
            call: Any = begin(server.channel, each, path(each), [b"now"], GOOD)
            assert (call.result(SOON) if each == "unary_unary" else next(call)) == b"now"
        assert not any(call.done() for call in calls)
        unsent.say()
    assert worked.requests == [b"now", b"now"]
