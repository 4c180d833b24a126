"""How the streams of an asyncio server end: with what they were let in by, whatever their handler does."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from authapi.v1 import stream_service_pb2
from authapi.v1 import stream_service_pb2_grpc as stream_rpc
from authapi.v1.rule_pb2 import Rule
from authclient import Trust, reason_of

from tests.clients.aio_guarded import AioGuarded
from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, asking_threads, eventually
from tests.clients.guarded import UNAUTHENTICATED, UNAVAILABLE, Conversation, begin, handler, outcome, path, summary
from tests.clients.scripted import GOOD, SECONDS, bearer, ended, identity, outdated, refuse, token, uuid
from tests.clients.serving.idle import Idle, Opened
from tests.clients.shapes import OPEN_SHAPES, name
from tests.clients.trusts import NewTrust

STREAM = "stream-of-twenty-two-chars"


@pytest.mark.parametrize(
    ("rule", "reason"), [(ended(), "SESSION_ENDED"), (outdated(1), "TOKEN_OUTDATED")], ids=["ended", "outdated"]
)
def test_a_revocation_ends_a_stream_that_is_idle(
    auth: AuthServer, trust: Trust, idle: Idle, rule: Any, reason: str
) -> None:
    handlers = idle.handlers()
    with AioGuarded(trust, handlers, dict.fromkeys(handlers, Rule(any_role=["reader"]))) as served:
        streams = [Opened(served, idle, shape) for shape in OPEN_SHAPES]
        assert served.leases == len(streams)
        auth.revoke(rule)
        for stream in streams:
            over = stream.ending()
            assert (over.code, over.reason) == (UNAUTHENTICATED, reason), stream.shape
        idle.release.set()
        left = sorted(idle.left.get(timeout=SOON) for _ in streams)
        # A blocking handler learns of it by its own next call, or by the end of its requests.
        blocking = [how for how in left if how in ("AbortError", "StreamOver")]
        assert len(blocking) == 2
        assert [how for how in left if how not in blocking] == [*["cancelled"] * 6, "closed"]
        assert served.leases == 0


def test_a_stream_whose_rule_asks_for_no_role_outlives_a_change_of_roles(
    auth: AuthServer, trust: Trust, idle: Idle
) -> None:
    with AioGuarded(trust, idle.handlers()) as served:
        streams = [Opened(served, idle, shape) for shape in OPEN_SHAPES]
        auth.revoke(outdated(1))
        eventually(lambda: trust.knowledge.view.generations, "the rule")
        assert summary(served.call(("async", "unary_stream"), metadata=GOOD)) == "UNAUTHENTICATED TOKEN_OUTDATED"
        assert not any(stream.call.done() for stream in streams)
        auth.revoke(ended())
        assert {stream.ending().reason for stream in streams} == {"SESSION_ENDED"}


def test_a_stream_ends_when_its_token_expires(auth: AuthServer, trust: Trust, idle: Idle) -> None:
    with AioGuarded(trust, idle.handlers()) as served:
        streams = [Opened(served, idle, shape) for shape in OPEN_SHAPES]
        auth.time += 900 + 30
        for stream in streams:
            over = stream.ending()
            assert (over.code, over.reason) == (UNAUTHENTICATED, "TOKEN_EXPIRED"), stream.shape


def test_only_the_streams_of_the_revoked_session_end(auth: AuthServer, trust: Trust, idle: Idle) -> None:
    with AioGuarded(trust, idle.handlers()) as served:
        hers = [Opened(served, idle, shape) for shape in OPEN_SHAPES]
        his = [Opened(served, idle, shape, bearer(token(sid=uuid(7)))) for shape in OPEN_SHAPES]
        auth.revoke(ended())
        assert {stream.ending().reason for stream in hers} == {"SESSION_ENDED"}
        assert not any(stream.call.done() for stream in his)
        assert served.leases == len(his)
        for stream in his:
            stream.call.cancel()
            stream.ending()


def test_a_handler_that_makes_nothing_of_being_cancelled_is_ended_all_the_same(auth: AuthServer, trust: Trust) -> None:
    entered, wakings = threading.Semaphore(0), queue.SimpleQueue[str]()
    done = threading.Event()

    async def stubborn(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"first"
        entered.release()  # The caller may well have the answer before grpc says so here.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        wakings.put("awake")
        try:
            yield b"secret"
        finally:
            done.set()

    async def polite(_: Any, context: Any) -> None:
        await context.write(b"first")
        entered.release()
        with contextlib.suppress(asyncio.CancelledError):
            await context.read()
        wakings.put("awake")

    shapes = {"Stubborn": handler("unary_stream", stubborn), "Polite": handler("stream_stream", polite)}
    with AioGuarded(trust, shapes) as served:
        said = Conversation()
        calls = [
            begin(served.channel, "unary_stream", path("Stubborn"), metadata=GOOD),
            begin(served.channel, "stream_stream", path("Polite"), said, GOOD),
        ]
        assert [next(call) for call in calls] == [b"first", b"first"]
        assert all(entered.acquire(timeout=SOON) for _ in calls)
        auth.revoke(ended())
        for call in calls:
            with pytest.raises(grpc.RpcError):
                next(call)
            assert reason_of(call.trailing_metadata()) == "SESSION_ENDED"
        assert [wakings.get(timeout=SOON) for _ in calls] == ["awake", "awake"]
        assert done.wait(SOON)
        said.hang_up()


def test_a_stream_is_ended_while_its_caller_reads_nothing(auth: AuthServer, trust: Trust) -> None:
    async def flood(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(1_000_000)

    with AioGuarded(trust, {"Flood": handler("unary_stream", flood)}) as served:
        call = begin(served.channel, "unary_stream", path("Flood"), metadata=GOOD, timeout=SOON)
        next(call)
        auth.revoke(ended())
        eventually(lambda: served.leases == 0, "it has no lease any more")
        with pytest.raises(grpc.RpcError):
            list(call)
        assert reason_of(call.trailing_metadata()) == "SESSION_ENDED"


def test_a_stream_whose_view_gets_too_old_asks_and_then_ends(auth: AuthServer, new_trust: NewTrust, idle: Idle) -> None:
    later = 0.0
    trust = new_trust(auth, monotonic=lambda: time.monotonic() + later)
    assert trust.wait_until_ready(SOON)
    with AioGuarded(trust, idle.handlers()) as served:
        streams = [Opened(served, idle, shape) for shape in OPEN_SHAPES]
        auth.verify = lambda *_: identity()
        later = 60.0
        eventually(lambda: auth.shown, "Verify is asked, once for all of them")
        eventually(lambda: not asking_threads(), "the last answer is taken, at this time and no later")
        assert not any(stream.call.done() for stream in streams)
        auth.verify = lambda _, context: refuse(context, UNAVAILABLE, "STORAGE_UNAVAILABLE")
        later = 120.0
        for stream in streams:
            over = stream.ending()
            assert (over.code, over.reason) == (UNAVAILABLE, "VERIFICATION_UNAVAILABLE"), stream.shape


def test_a_named_stream_lives_on_with_a_fresher_token_of_the_same_user(
    auth: AuthServer, trust: Trust, idle: Idle
) -> None:
    names = [f"{STREAM}-{number}" for number, _ in enumerate(OPEN_SHAPES)]
    fresher = bearer(token(exp=SECONDS + 1800, iat=SECONDS + 900, nbf=SECONDS))
    with AioGuarded(trust, idle.handlers()) as served:
        streams = [
            Opened(served, idle, shape, (*GOOD, ("authclient-stream", each)))
            for shape, each in zip(OPEN_SHAPES, names, strict=True)
        ]
        auth.time += 890
        eventually(lambda: trust.knowledge.now() > SECONDS + 889, "time has passed")
        assert renewal(served, names[0], bearer(token(sub=uuid(5)))) == "STREAM_UNKNOWN", "it is somebody else's"
        assert renewal(served, "x" * 22, GOOD) == "STREAM_UNKNOWN"
        assert renewal(served, names[0], ()) == "TOKEN_MISSING"
        assert [renewal(served, each, fresher) for each in names] == [SECONDS + 1800] * len(names)
        auth.time += 100
        eventually(lambda: trust.knowledge.now() > SECONDS + 960, "the first token has expired")
        trust._watch._notify()
        assert not any(stream.call.done() for stream in streams)
        auth.revoke(ended())
        assert {stream.ending().reason for stream in streams} == {"SESSION_ENDED"}
        assert renewal(served, names[0], bearer(token(sid=uuid(3), exp=SECONDS + 1800))) == "STREAM_UNKNOWN"


def renewal(served: AioGuarded, stream_id: str, metadata: Any) -> Any:
    """Return until when a stream is renewed, or the reason why it is not."""
    request = stream_service_pb2.RenewStreamRequest(stream_id=stream_id)
    renew: Any = stream_rpc.StreamServiceStub(served.channel).RenewStream
    try:
        return renew(request, metadata=metadata, timeout=SOON).expire_time.seconds
    except grpc.RpcError as error:
        return reason_of(error.trailing_metadata())


def test_a_caller_who_leaves_is_noticed_by_the_handler(trust: Trust, idle: Idle) -> None:
    with AioGuarded(trust, idle.handlers()) as served:
        for shape in OPEN_SHAPES:
            stream = Opened(served, idle, shape)
            stream.call.cancel()
            idle.release.set()
            left = idle.left.get(timeout=SOON)
            stream.said.hang_up()
            # One that reads may as well be told that there are no more requests.
            assert left == "cancelled" or shape[0] == "blocking" or shape[1] != "unary_stream", name(shape)
            eventually(lambda: served.leases == 0, "it has no lease any more")


def test_a_deadline_ends_a_stream_and_what_is_kept_of_it(trust: Trust, idle: Idle) -> None:
    with AioGuarded(trust, idle.handlers()) as served:
        for shape in OPEN_SHAPES:
            idle.release.clear()
            said = Conversation(b"hello")
            messages = said if shape[1].startswith("stream_") else [b"hello"]
            answer = outcome(served.channel, shape[1], path(name(shape)), messages, GOOD, timeout=0.1)
            assert answer.code is grpc.StatusCode.DEADLINE_EXCEEDED
            said.hang_up()
            idle.release.set()
            idle.left.get(timeout=SOON)
            eventually(lambda: served.leases == 0, "it has no lease any more")
