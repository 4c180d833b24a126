"""Who gets through to a handler of an asyncio server, however it is written, and how its streams end. Real sockets."""

import asyncio
import contextlib
import itertools
import logging
import queue
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authapi.v1 import rule_pb2, stream_service_pb2
from authapi.v1 import stream_service_pb2_grpc as stream_rpc
from authclient import Trust, current_identity, find_identity, forwarded, identity, reason_of
from authclient.aio import AuthInterceptor
from authclient.aio.interceptor import _Stream
from authclient.decisions import Verified
from authclient.guard import RENEW_RULE
from authclient.refusals import Refused
from authclient.streams import Lease
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

from tests.clients import scripted as scripted_service
from tests.clients.aio_servers import OPEN_SHAPES, SHAPES, AioGuarded, Idle, every_shape, name
from tests.clients.guarded import PUBLIC, SIGNED_IN, Conversation, Outcome, begin, ending, handler, outcome, path
from tests.clients.protos import service_file
from tests.clients.scripted import (
    CANARY,
    SECONDS,
    SOON,
    USER,
    AuthServer,
    Heard,
    bearer,
    ended,
    eventually,
    outdated,
    refuse,
    step,
    token,
    unreachable,
    uuid,
)

Rule = rule_pb2.Rule
OK, UNAUTHENTICATED = grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED
UNAVAILABLE, DENIED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED
NewTrust = Callable[..., Trust]
GOOD = bearer(token())
ASK = Rule(authenticated=True, max_staleness=Duration())
STREAM = "stream-of-twenty-two-chars"


@pytest.fixture(autouse=True)
def nobody_is_remembered() -> Iterator[None]:
    """Fail a test after which somebody is still known as the caller of something."""
    yield
    eventually(lambda: not identity._callers, "nobody is remembered")


class Noted:
    """Handlers of every shape that note what they see, and answer what they were sent."""

    def __init__(self) -> None:
        self.callers: list[Any] = []
        self.metadata: list[dict[str, Any]] = []

    def work(self, requests: list[bytes], context: Any) -> list[bytes]:
        self.callers.append(find_identity(context))
        self.metadata.append(dict(context.invocation_metadata()))
        return requests

    @property
    def handlers(self) -> dict[str, Any]:
        """A handler of each shape."""
        return every_shape(self.work)


@pytest.fixture
def noted() -> Noted:
    return Noted()


@pytest.fixture
def shop(trust: Trust, noted: Noted) -> Iterator[AioGuarded]:
    """Yield a service with every shape of handler, for callers who are signed in."""
    with AioGuarded(trust, noted.handlers) as served:
        yield served


# --- who gets through ------------------------------------------------------------------------------------------------


def test_a_handler_of_each_shape_learns_who_calls(shop: AioGuarded, noted: Noted) -> None:
    for shape in SHAPES:
        answer = shop.call(shape, b"hello", metadata=GOOD)
        assert (answer.code, b"".join(answer.messages)) == (OK, b"hello"), name(shape)
        assert noted.callers.pop().user_id == USER


def test_each_of_two_hundred_parallel_calls_of_twenty_users_knows_its_own_user(trust: Trust) -> None:
    together = threading.Barrier(4, timeout=SOON)

    def work(requests: list[bytes], context: Any) -> list[bytes]:
        before = current_identity(context).user_id
        if threading.current_thread() is not served._thread:
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(0.05)  # So that handlers in threads are inside at once.
        assert current_identity(context).user_id == before
        return [before.encode()]

    tokens = {uuid(number): token(sub=uuid(number), sid=uuid(number + 100)) for number in range(20)}
    with AioGuarded(trust, every_shape(work)) as served, ThreadPoolExecutor(32) as pool:

        def call(number: int) -> bool:
            user, shape = uuid(number % 20), SHAPES[number % len(SHAPES)]
            answer = served.call(shape, metadata=bearer(tokens[user]))
            return answer.messages == [user.encode()]

        assert all(pool.map(call, range(200)))


def test_tasks_of_one_loop_that_overlap_do_not_see_each_others_callers(trust: Trust) -> None:
    arrived = []

    async def meet(request: bytes, context: Any) -> bytes:
        before = current_identity(context)
        arrived.append(before)
        while len(arrived) < 20:
            await asyncio.sleep(0)  # Until all are inside; each iteration lets the others run.
        assert current_identity(context) == before
        return before.user_id.encode()

    with AioGuarded(trust, {"Meet": handler("unary_unary", meet)}) as served:
        calls = [
            begin(served.channel, "unary_unary", path("Meet"), metadata=bearer(token(sub=uuid(number))), timeout=SOON)
            for number in range(20)
        ]
        assert [call.result() for call in calls] == [uuid(number).encode() for number in range(20)]


def test_default_deny_runs_no_handler(trust: Trust, noted: Noted) -> None:
    with AioGuarded(trust, noted.handlers, dict.fromkeys(noted.handlers)) as served:
        for shape in SHAPES:
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (DENIED, "METHOD_WITHOUT_RULE"), name(shape)
    assert noted.callers == []


REFUSED = [
    ((), UNAUTHENTICATED, "TOKEN_MISSING"),
    (bearer("x"), UNAUTHENTICATED, "TOKEN_INVALID"),
    (GOOD + GOOD, UNAUTHENTICATED, "TOKEN_INVALID"),
    (bearer(token(exp=SECONDS - 30, iat=SECONDS - 900)), UNAUTHENTICATED, "TOKEN_EXPIRED"),
    (GOOD, DENIED, "ROLE_MISSING"),
]


def test_who_may_not_call_reaches_no_handler(trust: Trust, noted: Noted) -> None:
    with AioGuarded(trust, noted.handlers, dict.fromkeys(noted.handlers, Rule(any_role=["admin"]))) as served:
        for shape, (metadata, code, reason) in itertools.product(SHAPES, REFUSED):
            answer = served.call(shape, metadata=metadata)
            assert (answer.code, answer.reason) == (code, reason), name(shape)
    assert noted.callers == []


def test_health_is_exempt_by_its_exact_name_and_unknown_methods_are_unimplemented(trust: Trust, noted: Noted) -> None:
    health = HealthServicer()
    check = grpc.unary_unary_rpc_method_handler(
        health.Check,
        health_pb2.HealthCheckRequest.FromString,
        health_pb2.HealthCheckResponse.SerializeToString,
    )
    real = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check})
    false = grpc.method_handlers_generic_handler("grpc.health.v1.Healthy", {"Check": check})
    with AioGuarded(trust, noted.handlers, extra=[real, false]) as served:
        served.run(health.set("", health_pb2.HealthCheckResponse.SERVING))
        assert outcome(served.channel, "unary_unary", "/grpc.health.v1.Health/Check", [b""]).code is OK
        assert outcome(served.channel, "unary_unary", "/grpc.health.v1.Healthy/Check", [b""]).code is DENIED
        assert outcome(served.channel, "unary_unary", path("Nothing"), metadata=GOOD).code is (
            grpc.StatusCode.UNIMPLEMENTED
        )


def test_a_public_method_knows_nobody_even_with_a_token(trust: Trust, noted: Noted) -> None:
    with AioGuarded(trust, noted.handlers, dict.fromkeys(noted.handlers, PUBLIC)) as served:
        for shape, metadata in itertools.product(SHAPES, ((), GOOD, bearer("rubbish"))):
            assert served.call(shape, metadata=metadata).code is OK, name(shape)
    assert set(noted.callers) == {None}


def test_an_observing_rule_counts_and_lets_pass(trust: Trust, noted: Noted, heard: Heard) -> None:
    observed = Rule(any_role=["admin"], observe=True)
    with AioGuarded(trust, noted.handlers, dict.fromkeys(noted.handlers, observed)) as served:
        for shape in SHAPES:
            assert served.call(shape, metadata=GOOD).code is OK, name(shape)
            assert served.call(shape).code is OK, name(shape)
    assert [caller and caller.user_id for caller in noted.callers] == [USER, None] * len(SHAPES)
    assert [refused[1:] for refused in heard.refusals] == [("ROLE_MISSING", False), ("TOKEN_MISSING", False)] * len(
        SHAPES
    )


@pytest.mark.parametrize("rule", [SIGNED_IN, PUBLIC], ids=["signed-in", "public"])
def test_forged_entries_do_not_reach_a_handler_and_others_do(trust: Trust, noted: Noted, rule: rule_pb2.Rule) -> None:
    forged = {"x-user": "root", "x-user-id": "0", "x-auth-request-user": "root", "remote-user": "root", "x-roles": "a"}
    kept = {"x-request-id": "7", "authorization": GOOD[0][1], "x-users": "no", "data-bin": b"\x00\xff"}
    with AioGuarded(trust, noted.handlers, dict.fromkeys(noted.handlers, rule)) as served:
        for shape in SHAPES:
            assert served.call(shape, metadata=tuple((forged | kept).items())).code is OK, name(shape)
            seen = noted.metadata.pop()
            assert not forged.keys() & seen.keys(), name(shape)
            assert kept.items() <= seen.items(), name(shape)


def test_the_token_is_passed_on_where_a_handler_asks_for_that(trust: Trust) -> None:
    with AioGuarded(trust, every_shape(lambda _, context: [forwarded(context)[0][1].encode()])) as served:
        for shape in SHAPES:
            assert b"".join(served.call(shape, metadata=GOOD).messages).decode() == GOOD[0][1], name(shape)


# --- asking the authentication service -------------------------------------------------------------------------------


def test_where_nothing_is_known_here_verify_is_asked(auth: AuthServer, trust: Trust, noted: Noted) -> None:
    with AioGuarded(trust, noted.handlers, dict.fromkeys(noted.handlers, ASK)) as served:
        for shape in SHAPES:
            auth.verify = lambda *_: scripted_service.identity()
            assert served.call(shape, metadata=GOOD).code is OK, name(shape)
            auth.verify = lambda _, context: refuse(context, UNAUTHENTICATED, "SESSION_ENDED")
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (UNAUTHENTICATED, "SESSION_ENDED"), name(shape)
            auth.verify = lambda _, context: refuse(context, UNAVAILABLE, "STORAGE_UNAVAILABLE")
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (UNAVAILABLE, "VERIFICATION_UNAVAILABLE"), name(shape)
    assert len(auth.shown) == 3 * len(SHAPES)
    assert len(noted.callers) == len(SHAPES)


Silence = tuple[threading.Event, threading.Event]


@pytest.fixture
def silence(auth: AuthServer) -> Iterator[Silence]:
    """Make Verify hang. Yields what says that somebody asks, and what ends it."""
    asked, over = threading.Event(), threading.Event()

    def hang(request: Any, context: Any) -> Any:
        asked.set()
        over.wait(SOON)
        return scripted_service.identity()

    auth.verify = hang
    yield asked, over
    over.set()


def test_while_verify_hangs_others_are_served(trust: Trust, noted: Noted, silence: Silence) -> None:
    asked, over = silence
    strict = {f"Strict_{name}": each for name, each in noted.handlers.items()}
    rules = dict.fromkeys(strict, ASK) | dict.fromkeys(noted.handlers, SIGNED_IN)
    with ThreadPoolExecutor(16) as pool, AioGuarded(trust, strict | noted.handlers, rules, pool=pool) as served:
        waiting = [
            begin(served.channel, shape[1], path(f"Strict_{name(shape)}"), metadata=GOOD, timeout=SOON)
            for shape in SHAPES
        ]
        assert asked.wait(SOON)
        for shape in SHAPES:
            assert served.call(shape, metadata=GOOD).code is OK, name(shape)
        assert not any(call.done() for call in waiting)
        over.set()
        for call, shape in zip(waiting, SHAPES, strict=True):
            assert (list(call) if shape[1].endswith("_stream") else [call.result()]) == [b"hello"], name(shape)


def test_while_calls_wait_for_the_first_view_others_are_served(
    scripted: AuthServer, new_trust: NewTrust, noted: Noted
) -> None:
    trust = new_trust(scripted, patience=SOON)
    watch = scripted.next_watch()
    public = {f"Public_{name}": each for name, each in noted.handlers.items()}
    rules = dict.fromkeys(public, PUBLIC) | dict.fromkeys(noted.handlers, SIGNED_IN)
    with ThreadPoolExecutor(16) as pool, AioGuarded(trust, public | noted.handlers, rules, pool=pool) as served:
        waiting = [begin(served.channel, shape[1], path(name(shape)), metadata=GOOD, timeout=SOON) for shape in SHAPES]
        for shape in SHAPES:
            assert served.call(shape, method=f"Public_{name(shape)}").code is OK, name(shape)
        assert not any(call.done() for call in waiting)
        watch.say(step(scripted_service.SNAPSHOT_END, opened=100.0, read=100.0, keys=scripted.keys))
        for call, shape in zip(waiting, SHAPES, strict=True):
            assert (list(call) if shape[1].endswith("_stream") else [call.result()]) == [b"hello"], name(shape)


def test_when_neither_can_answer_a_call_is_unavailable(new_trust: NewTrust, noted: Noted) -> None:
    trust = new_trust("127.0.0.1:1", patience=0.01)
    with AioGuarded(trust, noted.handlers) as served:
        for shape in SHAPES:
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (UNAVAILABLE, "VERIFICATION_UNAVAILABLE"), name(shape)
    assert noted.callers == []


BROKEN: dict[str, Callable[[Trust, pytest.MonkeyPatch], None]] = {
    "judge": lambda trust, patch: patch.setattr(trust.judge, "judge", unreachable),
    "admit": lambda trust, patch: patch.setattr(trust.judge, "admit", unreachable),
    "view": lambda trust, patch: patch.setattr(trust.knowledge, "view_age", unreachable),
    "clock": lambda trust, patch: patch.setattr(trust.knowledge, "now", unreachable),
}


@pytest.mark.parametrize("part", BROKEN)
def test_a_failure_inside_the_guard_denies_and_tells_nobody(
    trust: Trust, noted: Noted, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    with AioGuarded(trust, noted.handlers) as served, monkeypatch.context() as patch:
        BROKEN[part](trust, patch)
        for shape in SHAPES:
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (UNAVAILABLE, "VERIFICATION_UNAVAILABLE"), name(shape)
            assert CANARY not in answer.text
    assert noted.callers == []


def test_a_failure_while_a_stream_is_taken_into_care_denies(
    trust: Trust, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AioGuarded(trust, noted.handlers) as served, monkeypatch.context() as patch:
        assert served.interceptor
        patch.setattr(served.interceptor._leases, "_review", unreachable)
        for shape in OPEN_SHAPES:
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (UNAVAILABLE, "VERIFICATION_UNAVAILABLE"), name(shape)
            assert CANARY not in answer.text
        assert served.leases == 0
    assert noted.callers == []


def test_a_failure_in_asking_denies(trust: Trust, noted: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "ask", unreachable)
    monkeypatch.setattr(trust, "ask_async", unreachable)
    with AioGuarded(trust, noted.handlers, dict.fromkeys(noted.handlers, ASK)) as served:
        for shape in SHAPES:
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (UNAVAILABLE, "VERIFICATION_UNAVAILABLE"), name(shape)
            assert CANARY not in answer.text
    assert noted.callers == []


# --- how streams end -------------------------------------------------------------------------------------------------


class Opened:
    """A stream that a caller has opened, and that waits in its handler."""

    def __init__(self, served: AioGuarded, idle: Idle, shape: tuple[str, str], metadata: Any = GOOD) -> None:
        self.shape = name(shape)
        self.said = Conversation(b"hello")
        messages = self.said if shape[1].startswith("stream_") else [b"hello"]
        self.call = begin(served.channel, shape[1], path(name(shape)), messages, metadata)
        self.first = next(self.call) if shape[1].endswith("_stream") else None
        self.noted = idle.begun.get(timeout=SOON)

    def ending(self) -> Outcome:
        """Return how it ended."""
        with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
            if isinstance(self.call, grpc.Future) and self.first is None:
                self.call.result(SOON)
        eventually(self.call.done, "the stream is over")
        self.said.hang_up()
        return ending(self.call, [])


@pytest.fixture
def idle() -> Iterator[Idle]:
    handlers = Idle()
    yield handlers
    handlers.release.set()


@pytest.mark.parametrize(
    ("rule", "reason"), [(ended(), "SESSION_ENDED"), (outdated(1), "TOKEN_OUTDATED")], ids=["ended", "outdated"]
)
def test_a_revocation_ends_a_stream_that_is_idle(
    auth: AuthServer, trust: Trust, idle: Idle, rule: Any, reason: str
) -> None:
    with AioGuarded(trust, idle.handlers()) as served:
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
    wakings: queue.SimpleQueue[str] = queue.SimpleQueue()
    done = threading.Event()

    async def stubborn(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"first"
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        wakings.put("awake")
        try:
            yield b"secret"
        finally:
            done.set()

    async def polite(_: Any, context: Any) -> None:
        await context.write(b"first")
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
        auth.verify = lambda *_: scripted_service.identity()
        later = 60.0
        eventually(lambda: len(auth.shown) >= len(streams), "Verify is asked")
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


# --- what a service notices of the interceptor -----------------------------------------------------------------------


class Gone(Exception):
    """What a handler raises."""


async def _set(context: Any) -> None:
    context.set_trailing_metadata((("trail", "er"), ("trail-bin", b"\x00")))
    context.set_code(grpc.StatusCode.ABORTED)
    context.set_details("set")


async def _initial(context: Any) -> None:
    await context.send_initial_metadata((("initial", "here"),))


async def _abort(context: Any) -> None:
    context.set_trailing_metadata((("trail", "er"),))
    await context.abort(grpc.StatusCode.DATA_LOSS, "aborted")


async def _abort_with_metadata(context: Any) -> None:
    await context.abort(grpc.StatusCode.DATA_LOSS, "aborted", (("more", "here"),))


async def _abort_bare(context: Any) -> None:
    await context.abort(grpc.StatusCode.DATA_LOSS)


async def _abort_and_go_on(context: Any) -> None:
    with contextlib.suppress(Exception):
        await context.abort(grpc.StatusCode.DATA_LOSS, "aborted")


async def _raise(context: Any) -> None:
    raise Gone("text")


async def _code_and_raise(context: Any) -> None:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    raise Gone("text")


async def _nothing(context: Any) -> None:
    pass


WAYS: dict[str, Callable[[Any], Any]] = {
    way.__name__.strip("_"): way
    for way in (_nothing, _set, _initial, _abort, _abort_with_metadata, _abort_bare, _raise)
} | {"code_and_raise": _code_and_raise}


def run_now(work: Any) -> Any:
    """Run a coroutine that waits for nothing, where there is no event loop."""
    try:
        work.send(None)
    except StopIteration as over:
        return over.value
    raise AssertionError("it waits")


class InThread:
    """The context of a synchronous handler, with the words of an asynchronous one."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            return getattr(self._context, name)(*arguments)

        return call if name in ("abort", "send_initial_metadata") else getattr(self._context, name)


def ways(way: Callable[[Any], Any], when: str) -> dict[str, Any]:
    """Return handlers that end this way, before or after their answers."""

    async def unary_unary(request: bytes, context: Any) -> bytes:
        await way(context)
        return b"answer"

    async def unary_stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        if when == "after":
            yield b"one"
            yield b"two"
        await way(context)
        yield b"three"

    async def stream_unary(requests: AsyncIterator[bytes], context: Any) -> bytes:
        seen = [each async for each in requests] if when == "after" else []
        await way(context)
        return b"".join(seen)

    async def stream_stream(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        if when == "after":
            async for each in requests:
                yield each
        await way(context)
        yield b"last"

    async def write(request: bytes, context: Any) -> None:
        if when == "after":
            await context.write(b"one")
        await way(context)
        await context.write(b"two")

    async def read(_: Any, context: Any) -> bytes:
        first = await context.read() if when == "after" else b""
        await way(context)
        return bytes(first)

    async def read_and_write(_: Any, context: Any) -> None:
        if when == "after":
            await context.write(await context.read())
        await way(context)
        await context.write(b"last")

    def function(request: bytes, context: Any) -> bytes:
        run_now(way(InThread(context)))
        return b"answer"

    def generator(request: bytes, context: Any) -> Iterator[bytes]:
        if when == "after":
            yield b"one"
            yield b"two"
        run_now(way(InThread(context)))
        yield b"three"

    def consumer(requests: Iterator[bytes], context: Any) -> bytes:
        seen = list(requests) if when == "after" else []
        run_now(way(InThread(context)))
        return b"".join(seen)

    def transformer(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        if when == "after":
            yield from requests
        run_now(way(InThread(context)))
        yield b"last"

    written: tuple[Callable[..., Any], ...] = (
        unary_unary,
        unary_stream,
        stream_unary,
        stream_stream,
        write,
        read,
        read_and_write,
    )
    blocking: tuple[Callable[..., Any], ...] = (function, generator, consumer, transformer)
    return {
        name(shape): handler(shape[1], behavior) for shape, behavior in zip(SHAPES, (*written, *blocking), strict=True)
    }


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("way", WAYS)
def test_what_a_handler_says_reaches_the_caller_as_without_the_interceptor(trust: Trust, way: str, when: str) -> None:
    handlers = ways(WAYS[way], when)
    with AioGuarded(None, handlers) as plain, AioGuarded(trust, handlers) as guarded:
        for shape in SHAPES:
            messages = (b"a", b"b", b"c") if shape[1].startswith("stream_") else (b"a",)
            expected = plain.call(shape, *messages, metadata=GOOD)
            assert guarded.call(shape, *messages, metadata=GOOD) == expected, name(shape)
        eventually(lambda: guarded.leases == 0, "there is no lease any more")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_handler_that_goes_on_after_its_own_abort_has_aborted_all_the_same(trust: Trust, when: str) -> None:
    with AioGuarded(trust, ways(_abort_and_go_on, when)) as served:
        for shape in SHAPES:
            messages = (b"a", b"b") if shape[1].startswith("stream_") else (b"a",)
            answer = served.call(shape, *messages, metadata=GOOD)
            assert (answer.code, answer.details) == (grpc.StatusCode.DATA_LOSS, "aborted"), name(shape)


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


def test_a_generator_is_closed_before_its_caller_is_forgotten(trust: Trust) -> None:
    seen: queue.SimpleQueue[str] = queue.SimpleQueue()

    async def answer(request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
        finally:
            seen.put(current_identity(context).user_id)

    with AioGuarded(trust, {"Answer": handler("unary_stream", answer)}) as served:
        call = begin(served.channel, "unary_stream", path("Answer"), metadata=GOOD)
        next(call)
        call.cancel()
        assert seen.get(timeout=SOON) == USER


def test_handlers_work_with_a_pool_of_the_services_own(trust: Trust, noted: Noted) -> None:
    with ThreadPoolExecutor(1) as pool, AioGuarded(trust, noted.handlers, pool=pool) as served:
        for shape in SHAPES:
            assert served.call(shape, metadata=GOOD).code is OK, name(shape)


# --- loops, threads and the end --------------------------------------------------------------------------------------


def test_two_event_loops_share_one_trust(auth: AuthServer, trust: Trust) -> None:
    one, two = Idle(), Idle()
    with AioGuarded(trust, one.handlers()) as first, AioGuarded(trust, two.handlers()) as second:
        streams = [Opened(first, one, shape) for shape in OPEN_SHAPES]
        streams += [Opened(second, two, shape) for shape in OPEN_SHAPES]
        auth.revoke(ended())
        assert {stream.ending().reason for stream in streams} == {"SESSION_ENDED"}
        one.release.set()
        two.release.set()


def test_a_loop_that_was_closed_with_open_streams_does_not_hurt_another(
    auth: AuthServer, trust: Trust, idle: Idle
) -> None:
    gone = asyncio.new_event_loop()
    interceptor = AuthInterceptor(trust, service_file(Gone=SIGNED_IN))
    verified = trust.judge.judge(token(), 10.0)
    assert isinstance(verified, Verified)

    async def leave_open() -> None:
        interceptor._leases.open(Lease("/gone", RENEW_RULE, verified, None, _Stream(object()).refuse))  # type: ignore[arg-type]

    gone.run_until_complete(leave_open())
    gone.close()
    for lease in interceptor._leases._leases:
        lease.end(Refused("SESSION_ENDED"))  # Raises nothing.
    with AioGuarded(trust, idle.handlers()) as served:
        stream = Opened(served, idle, ("async", "unary_stream"))
        auth.revoke(ended())
        assert stream.ending().reason == "SESSION_ENDED"
        late = bearer(token(sid=uuid(4)))
        stream = Opened(served, idle, ("async", "unary_stream"), late)
        auth.time += 1000
        assert stream.ending().reason == "TOKEN_EXPIRED", "the clock still ticks"


def test_nothing_keeps_the_process_from_exiting() -> None:
    program = """
import asyncio, threading, grpc
from authclient import Trust
from authclient.aio import AuthInterceptor
from tests.clients.guarded import PUBLIC, handler, path
from tests.clients.protos import SERVICE, service_file

def wait(request, context):
    yield b"first"
    threading.Event().wait()

async def main():
    trust = Trust("127.0.0.1:1", audience="a")
    server = grpc.aio.server(interceptors=[AuthInterceptor(trust, service_file(Wait=PUBLIC))])
    handlers = grpc.method_handlers_generic_handler(SERVICE, {"Wait": handler("unary_stream", wait)})
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_stream(path("Wait"))(b"")
        print(await call.read())
    await server.stop(0)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "b'first'"), done.stderr


def test_no_token_is_logged_whatever_becomes_of_it(
    trust: Trust, noted: Noted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [token(jti="one"), token(jti="two", sub=""), token(exp=SECONDS - 600, iat=SECONDS - 700)]
    with AioGuarded(trust, noted.handlers) as served:
        for text in texts:
            for shape in SHAPES:
                served.call(shape, metadata=bearer(text))
        monkeypatch.setattr(trust.judge, "admit", unreachable)
        answer = served.call(SHAPES[0], metadata=bearer(texts[0]))
    assert CANARY in caplog.text
    assert not any(text in caplog.text + answer.text for text in texts)
