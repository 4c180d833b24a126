"""Whoever sends no request, or reads no answer, holds no thread and does not stay; all others notice nothing."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import pytest
import structlog
from grpc import _server as core

from authservice.serving.worker import is_entrance_usable
from authservice.transport.entrance import grpcio
from authservice.transport.entrance.trial import trial
from tests.rpc.entrance.serving import SERVICE, THREADS, Served, served
from tests.rpc.rude_client import WINDOW, rude_client

WAYS = ("Echo", "Together")
"""In a pool, and together with others."""


@contextmanager
def channel_to(running: Served) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{running.port}", (("grpc.use_local_subchannel_pool", 1),)) as channel:
        yield channel


def ask(channel: Any, method: str, request: bytes = b"hello", timeout: float = 10) -> bytes:
    return bytes(channel.unary_unary(f"/{SERVICE}/{method}")(request, timeout=timeout))


def send(channel: Any, method: str, requests: Sequence[bytes]) -> Any:
    """Call with other than one request."""
    return channel.stream_unary(f"/{SERVICE}/{method}").future(iter(requests), timeout=10)


def refused(call: Callable[[], object]) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def is_answered(channel: Any, method: str) -> bool:
    """Tell whether a call is answered now. While many stand before the server, grpc turns some away as CANCELLED."""
    try:
        return ask(channel, method) == b"hello"
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.CANCELLED:
            return False
        raise


def eventually(is_so: Callable[[], bool], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_this_grpcio_is_one_that_the_entrance_works_with() -> None:
    assert trial() == []


def test_a_grpcio_that_is_not_as_expected_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "_status", lambda event, state: None)
    monkeypatch.delattr(core, "_RECEIVE_MESSAGE_TOKEN")
    problems = ["grpc._server._status is not as expected", "the receiving of messages is not as expected"]
    assert trial() == problems
    with structlog.testing.capture_logs() as logged:
        assert not is_entrance_usable()
    warning = {"event": "entrance_unusable", "log_level": "warning", "grpcio": grpc.__version__, "problems": problems}
    assert logged == [warning]


def test_a_grpcio_that_hands_calls_on_in_another_way_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpcio._Reception, "submit", ThreadPoolExecutor.submit)
    monkeypatch.setattr("authservice.transport.entrance.trial.SECONDS", 0.5)
    assert "a call is not answered" in trial()


@pytest.mark.parametrize("method", WAYS)
def test_a_call_is_answered(method: str) -> None:
    with served() as running, channel_to(running) as channel:
        assert ask(channel, method) == b"hello"
        assert ask(channel, method, b"") == b""


def test_a_stream_is_answered() -> None:
    with served() as running, channel_to(running) as channel:
        assert list(channel.unary_stream(f"/{SERVICE}/Many")(b"abc", timeout=10)) == [b"a", b"b", b"c"]


def test_a_handler_may_abort_with_metadata() -> None:
    with served() as running, channel_to(running) as channel:
        error = refused(lambda: ask(channel, "Echo", b"abort"))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert error.details() == "as asked"
        assert ("key", "value") in error.trailing_metadata()


def test_one_of_those_who_are_answered_together_may_be_refused() -> None:
    with served() as running, channel_to(running) as channel:
        assert refused(lambda: ask(channel, "Together", b"abort")).code() is grpc.StatusCode.FAILED_PRECONDITION
        assert ask(channel, "Together") == b"hello"


def test_a_call_that_is_not_for_the_line_goes_its_own_way() -> None:
    with served() as running, channel_to(running) as channel:
        assert ask(channel, "Together", b"alone") == b"alone"
        assert running.batches == []


def test_a_fault_on_the_serving_thread_ends_its_own_call_only() -> None:
    with served() as running, channel_to(running) as channel:
        assert refused(lambda: ask(channel, "Together", b"raise at the door")).code() is grpc.StatusCode.CANCELLED
        assert [ask(channel, method) for method in WAYS] == [b"hello"] * 2
        eventually(lambda: running.entrance.open_calls == 0)


def test_what_is_wrong_with_one_call_is_no_others_trouble() -> None:
    with served() as running, channel_to(running) as channel, ThreadPoolExecutor(9) as pool:
        first = pool.submit(ask, channel, "HeldTogether")
        assert running.entered.acquire(timeout=10)
        sound = [pool.submit(ask, channel, "HeldTogether") for _ in range(4)]
        eventually(lambda: running.entrance.working_calls == 5)
        bad = channel.unary_unary(f"/{SERVICE}/HeldTogether").future(b"raise", timeout=10)
        eventually(lambda: running.entrance.working_calls == 6)
        running.hold.set()
        assert bad.code() is grpc.StatusCode.INTERNAL
        assert [call.result() for call in (first, *sound)] == [b"hello"] * 5


def test_what_cannot_be_answered_together_ends_and_the_next_are_answered() -> None:
    with served() as running, channel_to(running) as channel:
        error = refused(lambda: ask(channel, "Together", b"raise"))
        assert error.code() is grpc.StatusCode.INTERNAL
        assert error.details() == f"unforeseen in /{SERVICE}/Together"
        assert ask(channel, "Together") == b"hello"


@pytest.mark.parametrize("method", WAYS)
def test_a_call_without_a_request_is_answered_as_grpc_does(method: str) -> None:
    with served() as running, channel_to(running) as channel:
        call = send(channel, method, [])
        assert call.code() is grpc.StatusCode.UNIMPLEMENTED
        assert call.details() == f'"/{SERVICE}/{method}" requires exactly one request message.'


@pytest.mark.parametrize("method", WAYS)
def test_of_two_requests_the_first_is_answered_as_grpc_does(method: str) -> None:
    with served() as running, channel_to(running) as channel:
        assert send(channel, method, [b"first", b"second"]).result() == b"first"


@pytest.mark.parametrize("method", WAYS)
def test_headers_without_a_request_hold_no_thread_and_end_after_the_patience(method: str) -> None:
    with served(request_patience=1.0) as running, rude_client(running.port, WINDOW) as rude:
        for _ in range(10 * THREADS):
            rude.begin(f"/{SERVICE}/{method}")
        with channel_to(running) as channel:
            for name in (*WAYS, "Echo", "Together"):
                assert ask(channel, name, timeout=0.9) == b"hello"
        eventually(lambda: len(rude.ended) == 10 * THREADS)
        eventually(lambda: running.entrance.open_calls == 0)


def test_a_request_that_dribbles_in_ends_after_the_patience() -> None:
    with served(request_patience=0.5) as running, rude_client(running.port, WINDOW) as rude:
        dribbling = rude.begin(f"/{SERVICE}/Echo", b"\0\0\0\0\x7f")
        while dribbling not in rude.ended:
            rude.send(dribbling, b"x")
            time.sleep(0.02)
        eventually(lambda: running.entrance.open_calls == 0)


def test_the_caller_is_told_that_the_request_did_not_come() -> None:
    with served(request_patience=0.2) as running, channel_to(running) as channel:
        never = threading.Event()

        def requests() -> Iterator[bytes]:
            never.wait(30)
            yield b""

        call = channel.stream_unary(f"/{SERVICE}/Echo").future(requests(), timeout=10)
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert call.details() == "request missing"
        never.set()


@pytest.mark.parametrize("method", WAYS)
def test_answers_that_nobody_reads_hold_no_thread_and_are_given_up(method: str) -> None:
    with served(answer_patience=0.5) as running, rude_client(running.port, window=0) as rude:
        for _ in range(10 * THREADS):
            rude.call(f"/{SERVICE}/{method}", b"hello")
        with channel_to(running) as channel:
            assert ask(channel, method, timeout=5) == b"hello"
        eventually(lambda: len(rude.ended) == 10 * THREADS)
        eventually(lambda: running.entrance.open_calls == 0)
        assert rude.heard == 0


def test_who_hangs_up_before_the_request_is_there_leaves_nothing_behind() -> None:
    with served() as running:
        for _ in range(5):
            with rude_client(running.port) as rude:
                for method in (*WAYS, "Many"):
                    rude.begin(f"/{SERVICE}/{method}", b"\0\0")
                eventually(lambda: running.entrance.open_calls > 0)
        eventually(lambda: running.entrance.open_calls == 0)


def test_the_connection_with_the_most_unfinished_requests_gives_way_to_newcomers() -> None:
    with served(most_open=40) as running, ExitStack() as clients:
        modest = clients.enter_context(rude_client(running.port, WINDOW))
        greedy = clients.enter_context(rude_client(running.port, WINDOW))
        waiting = modest.begin(f"/{SERVICE}/Echo")
        eventually(lambda: running.entrance.open_calls == 1)
        for _ in range(200):
            greedy.begin(f"/{SERVICE}/Echo")
        channel = clients.enter_context(channel_to(running))
        assert ask(channel, "Echo", timeout=2) == b"hello"
        eventually(lambda: len(greedy.ended) >= 160)
        assert waiting not in modest.ended
        assert running.entrance.open_calls <= 41


def test_the_host_with_many_connections_gives_way_to_one_with_few() -> None:
    with served(most_open=128) as running, ExitStack() as clients, structlog.testing.capture_logs() as logged:
        modest = clients.enter_context(rude_client(running.port, WINDOW, host="127.0.0.2"))
        waiting = modest.begin(f"/{SERVICE}/Echo")
        eventually(lambda: running.entrance.open_calls == 1)
        greedy = [clients.enter_context(rude_client(running.port, WINDOW, host="127.0.0.3")) for _ in range(200)]
        for client in greedy:
            client.begin(f"/{SERVICE}/Echo")
        channel = clients.enter_context(channel_to(running))
        assert ask(channel, "Echo", timeout=2) == b"hello"
        eventually(lambda: sum(len(client.ended) for client in greedy) >= 64)
        eventually(lambda: bool(logged))
        assert waiting not in modest.ended
        assert running.entrance.open_calls <= 129
    assert {(line["event"], line["of"]) for line in logged} == {("calls_given_up", "ipv4:127.0.0.3")}


def test_answers_that_nobody_reads_give_way_to_newcomers_as_well() -> None:
    with served(most_open=40, answer_patience=60.0) as running, ExitStack() as clients:
        greedy = clients.enter_context(rude_client(running.port, window=0))
        for _ in range(200):
            greedy.call(f"/{SERVICE}/Echo", b"hello")
        # All have come and are answered: one that still works does not give way, as nobody waits for its caller.
        eventually(lambda: len(greedy.ended) + running.entrance.open_calls == 200)
        eventually(lambda: not running.entrance.working_calls)
        assert running.entrance.open_calls <= 41
        channel = clients.enter_context(channel_to(running))
        for method in WAYS:
            assert ask(channel, method, timeout=2) == b"hello"


def test_calls_beyond_the_limit_are_refused_at_once_and_the_others_answered() -> None:
    with served(most_working=THREADS) as running, channel_to(running) as channel:
        with ThreadPoolExecutor(THREADS) as pool:
            working = [pool.submit(ask, channel, "Held") for _ in range(THREADS)]
            for _ in range(THREADS):
                assert running.entered.acquire(timeout=10)
            for method in WAYS:
                assert refused(lambda name=method: ask(channel, name)).details() == "overloaded"  # type: ignore[misc]
            running.hold.set()
            assert [call.result() for call in working] == [b"hello"] * THREADS
        eventually(lambda: not running.entrance.working_calls)
        assert ask(channel, "Echo") == b"hello"


def test_calls_that_come_while_others_are_answered_are_answered_together() -> None:
    with served() as running, channel_to(running) as channel, ThreadPoolExecutor(9) as pool:
        first = pool.submit(ask, channel, "HeldTogether")
        assert running.entered.acquire(timeout=10)
        others = [pool.submit(ask, channel, "HeldTogether") for _ in range(8)]
        eventually(lambda: running.entrance.working_calls == 9)
        running.hold.set()
        assert [call.result() for call in (first, *others)] == [b"hello"] * 9
        assert running.batches == [1, 8]


def test_who_stands_in_line_until_the_time_is_over_is_told_so_and_not_answered_later() -> None:
    with served(default_time=0.3) as running, channel_to(running) as channel, ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, channel, "HeldTogether", b"first")
        assert running.entered.acquire(timeout=10)
        call = channel.unary_unary(f"/{SERVICE}/HeldTogether").future(b"second")
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert call.details() == "too late"
        running.hold.set()
        assert first.result() == b"first"
        assert ask(channel, "HeldTogether", b"third") == b"third"
        assert running.batches == [1, 1]


def test_who_leaves_the_line_is_not_worked_for() -> None:
    with served() as running, channel_to(running) as channel, ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, channel, "HeldTogether", b"first")
        assert running.entered.acquire(timeout=10)
        leaving = channel.unary_unary(f"/{SERVICE}/HeldTogether").future(b"second")
        eventually(lambda: running.entrance.working_calls == 2)
        leaving.cancel()
        eventually(lambda: running.entrance.open_calls == 1)
        running.hold.set()
        assert first.result() == b"first"
        assert ask(channel, "HeldTogether", b"third") == b"third"
        assert running.batches == [1, 1]


def test_an_end_waits_for_those_who_are_worked_for_and_refuses_those_whose_request_is_missing() -> None:
    with served() as running, channel_to(running) as channel, ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(ask, channel, method) for method in ("Held", "HeldTogether")]
        for _ in calls:
            assert running.entered.acquire(timeout=10)
        with rude_client(running.port, WINDOW) as rude:
            missing = rude.begin(f"/{SERVICE}/Echo")
            eventually(lambda: running.entrance.open_calls == 3)
            ending = threading.Thread(target=running.entrance.await_idle, args=(time.monotonic() + 30,))
            ending.start()
            eventually(lambda: missing in rude.ended)
            assert ending.is_alive()
            running.hold.set()
            ending.join(10)
            assert not ending.is_alive()
        assert [call.result() for call in calls] == [b"hello"] * 2


def test_an_end_does_not_wait_longer_than_it_is_told() -> None:
    with served() as running, channel_to(running) as channel, ThreadPoolExecutor(1) as pool:
        call = pool.submit(ask, channel, "Held")
        assert running.entered.acquire(timeout=10)
        begin = time.monotonic()
        running.entrance.await_idle(begin + 0.2)
        assert 0.2 <= time.monotonic() - begin < 5
        running.hold.set()
        assert call.result() == b"hello"


def test_thousands_of_calls_that_are_reset_in_every_way_leave_nothing_behind() -> None:
    with served() as running:
        for number in range(12):
            with rude_client(running.port, WINDOW if number % 2 else 0) as rude:
                for _ in range(60):
                    for method in (*WAYS, "Many"):
                        rude.call(f"/{SERVICE}/{method}", b"hello")
                        rude.begin(f"/{SERVICE}/{method}")
        eventually(lambda: running.entrance.open_calls == 0)
        eventually(lambda: running.entrance.working_calls == 0)
        with channel_to(running) as channel:
            for method in WAYS:
                eventually(lambda name=method: is_answered(channel, name))  # type: ignore[misc]
