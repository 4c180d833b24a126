"""Handlers of an asyncio server that block have a thread of their own, and learn what they need."""

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from authclient import Trust

from tests.clients.aio_guarded import AioGuarded
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import OK, begin, handler, outcome, path
from tests.clients.noted import Noted
from tests.clients.scripted import GOOD
from tests.clients.serving.idle import Idle, Opened
from tests.clients.shapes import SHAPES, every_shape, name


def test_a_blocking_handler_may_abort_with_metadata(trust: Trust) -> None:
    def work(_: Any, context: Any) -> list[bytes]:
        context.abort(grpc.StatusCode.DATA_LOSS, "aborted", (("more", "here"),))
        return []

    with AioGuarded(trust, every_shape(work)) as served:
        for shape in [shape for shape in SHAPES if shape[0] == "blocking"]:
            answer = served.call(shape, metadata=GOOD)
            expected = (grpc.StatusCode.DATA_LOSS, "aborted", [("more", "here")])
            assert (answer.code, answer.details, answer.trailing) == expected, name(shape)


def test_a_blocking_handler_stays_in_one_thread_and_keeps_its_context_variables(trust: Trust) -> None:
    def answer(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        database = sqlite3.connect(":memory:")  # Usable in its own thread only.
        with contextlib.closing(database):
            for request in requests:
                yield str(database.execute("SELECT length(?)", (request,)).fetchone()[0]).encode()

    with AioGuarded(trust, {"Measure": handler("stream_stream", answer)}) as served:
        found = served.call(("blocking", "stream_stream"), b"a", b"bb", b"ccc", method="Measure", metadata=GOOD)
    assert found.messages == [b"1", b"2", b"3"]


def test_idle_blocking_streams_keep_nobody_else_waiting(trust: Trust, idle: Idle) -> None:
    shape = ("blocking", "unary_stream")
    with AioGuarded(trust, idle.handlers()) as served:
        streams = [Opened(served, idle, shape) for _ in range(40)]
        assert len(streams) == served.leases == 40
        idle.release.set()
        for stream in streams:
            assert list(stream.call) == [b"second"]


def test_a_blocking_handler_can_tell_that_its_caller_has_left(trust: Trust) -> None:
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    left = threading.Event()

    def watch(request: bytes, context: Any) -> Iterator[bytes]:
        context.add_callback(left.set)
        assert context.is_active()
        yield b"first"
        assert left.wait(SOON)
        eventually(lambda: not context.is_active(), "it is told")
        told.put("told")

    with AioGuarded(trust, {"Watch": handler("unary_stream", watch)}) as served:
        call = begin(served.channel, "unary_stream", path("Watch"), metadata=GOOD)
        next(call)
        call.cancel()
        assert told.get(timeout=SOON) == "told"


def test_a_stream_of_nothing_that_its_handler_did_not_expect_is_an_error_and_no_silence(trust: Trust) -> None:
    def first(requests: Iterator[bytes], context: Any) -> bytes:
        return next(requests)

    with AioGuarded(trust, {"First": handler("stream_unary", first)}) as served:
        answer = outcome(served.channel, "stream_unary", path("First"), [], GOOD)
    assert answer.code is grpc.StatusCode.UNKNOWN


def test_handlers_work_with_a_pool_of_the_services_own(trust: Trust, noted: Noted) -> None:
    pool = ThreadPoolExecutor(1)
    with AioGuarded(trust, noted.by_shape, pool=pool) as served, pool:
        for shape in SHAPES:
            assert served.call(shape, metadata=GOOD).code is OK, name(shape)
