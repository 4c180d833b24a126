"""Many streams, and everything at once: one status each, and nothing is left."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from authclient import Refused, Trust, reason_of

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import UNAUTHENTICATED, Guarded, begin, handler, path, summary
from tests.clients.scripted import bearer, ended, token, uuid
from tests.clients.serving.open_streams import NAME, Stream


def test_of_two_hundred_open_streams_exactly_the_hundred_that_are_revoked_end(auth: AuthServer, timed: Trust) -> None:
    begun = threading.Semaphore(0)
    sends: list[Any] = []

    def stays_open(_request: bytes, context: Any, send: Any) -> None:
        sends.append(send)
        begun.release()

    stays_open.experimental_non_blocking = True  # type: ignore[attr-defined]  # two hundred threads prove nothing more
    with Guarded(timed, {"stays": handler("unary_stream", stays_open)}) as shop:
        streams = [Stream(shop, "unary_stream", token(sid=uuid(number)), method="stays") for number in range(200)]
        for _ in streams:
            assert begun.acquire(timeout=SOON)
        eventually(lambda: shop.leases == 200, "all are open")
        auth.revoke(*(ended(uuid(number)) for number in range(0, 200, 2)))
        found = [summary(stream.end()) for stream in streams[::2]]
        assert found == ["UNAUTHENTICATED SESSION_ENDED"] * 100
        ticks = time.monotonic() + 0.1
        eventually(lambda: time.monotonic() > ticks, "some ticks")
        assert all(stream.is_open for stream in streams[1::2])
        assert shop.leases == 100
        for stream in streams[1::2]:
            stream.leave()
        eventually(lambda: shop.leases == 0, "nothing is kept")


def test_a_revocation_that_races_with_the_handlers_own_end_gives_one_status_and_no_hang(
    auth: AuthServer, timed: Trust, capfd: pytest.CaptureFixture[str]
) -> None:
    go = threading.Event()
    begun = threading.Semaphore(0)

    def works(request: bytes, context: Any) -> Iterator[bytes]:
        begun.release()
        go.wait(SOON)
        yield b"an answer"
        if request == b"abort":
            context.abort(grpc.StatusCode.ABORTED, "by the handler")
        if request == b"code":
            context.set_code(grpc.StatusCode.NOT_FOUND)

    own = {b"end": grpc.StatusCode.OK, b"abort": grpc.StatusCode.ABORTED, b"code": grpc.StatusCode.NOT_FOUND}
    with Guarded(timed, {"works": handler("unary_stream", works)}) as shop:
        seen: dict[str, int] = {}
        for round_ in range(25):
            go.clear()
            batch = []
            for number in range(8):
                how = list(own)[number % 3]
                text = token(sid=uuid(8 * round_ + number))
                batch.append((how, begin(shop.channel, "unary_stream", path("works"), [how], bearer(text), 30)))
            for _ in batch:
                assert begun.acquire(timeout=SOON)
            rules = [ended(uuid(8 * round_ + number)) for number in range(8)]
            first, second = (go.set, lambda rules=rules: auth.revoke(*rules))[:: 1 if round_ % 2 else -1]
            first()
            second()
            for how, call in batch:
                with contextlib.suppress(grpc.RpcError):
                    list(call)
                reason = reason_of(call.trailing_metadata())
                seen[f"{call.code().name} {reason}"] = seen.get(f"{call.code().name} {reason}", 0) + 1
                if reason is None:
                    assert call.code() is own[how]
                elif how == b"end":  # The others: see the next test.
                    assert (call.code(), reason) == (UNAUTHENTICATED, "SESSION_ENDED"), "one refusal, whole"
        assert sum(seen.values()) == 200
        assert len(seen) >= 2, "there was a race"
        eventually(lambda: shop.leases == 0, "nothing is kept")
    assert shop.has_stopped
    captured = capfd.readouterr()
    assert "Traceback" not in captured.out + captured.err


def test_a_handler_that_aborts_in_the_moment_of_a_refusal_does_not_mix_its_status_into_it(
    auth: AuthServer, timed: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, now, done = threading.Event(), threading.Event(), threading.Event()

    def aborts(_request: bytes, context: Any) -> Iterator[bytes]:
        begun.set()
        now.wait(SOON)
        try:
            context.abort(grpc.StatusCode.ABORTED, "by the handler")
        finally:
            done.set()
        yield b"never"

    def slow(_self: Refused) -> str:
        now.set()  # The code is set; the details are not.
        done.wait(SOON)
        return "the refusal's own"

    with Guarded(timed, {"aborts": handler("unary_stream", aborts)}) as shop:
        stream = Stream(shop, "unary_stream", token(), method="aborts")
        assert begun.wait(SOON)
        monkeypatch.setattr(Refused, "details", property(slow))
        auth.revoke(ended())
        found = stream.end()
    assert summary(found) in {"UNAUTHENTICATED SESSION_ENDED", "ABORTED None"}


def test_callers_who_hang_up_at_once_leave_no_lease(auth: AuthServer, timed: Trust) -> None:
    def quick(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield b"begun"
        yield from requests

    with Guarded(timed, {"quick": handler("stream_stream", quick)}, threads=16) as shop:
        for number in range(200):
            stream = Stream(shop, "stream_stream", token(), method="quick", name=NAME)
            if number % 2:
                next(stream.call, None)
            stream.leave()
        eventually(lambda: shop.leases == 0, "nothing is kept")
    assert shop.interceptor
    assert shop.interceptor._leases._named == {}
