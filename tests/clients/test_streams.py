"""Streams that are open: they end with what they were let in by, and live on with a fresher token."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from authapi.v1 import rule_pb2
from authapi.v1 import stream_service_pb2 as api
from authapi.v1 import stream_service_pb2_grpc as rpc
from authclient import Refused, Trust, find_identity, reason_of
from google.protobuf.duration_pb2 import Duration

from tests.clients.guarded import STREAMS, Conversation, Guarded, Outcome, begin, ending, handler, path
from tests.clients.scripted import (
    SECONDS,
    SOON,
    AuthServer,
    Hands,
    Heard,
    bearer,
    ended,
    eventually,
    identity,
    outdated,
    refuse,
    token,
    unreachable,
    uuid,
)

Rule = rule_pb2.Rule
NewTrust = Callable[..., Trust]
NAME = "stream-name-of-22-chars"
UNAUTHENTICATED, UNAVAILABLE = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE


class Waiting:
    """Streaming handlers that wait for ever, for an event or for the next request."""

    def __init__(self) -> None:
        self.entered: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.released = threading.Event()
        self.told: list[Any] = []
        self.finished: list[str] = []
        self.listens = threading.Semaphore(0)

    def _wait(self, context: Any) -> None:
        context.add_callback(lambda: self.told.append(context))
        self.entered.put(context)
        self.released.wait(30)

    def unary_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield b"begun"
        self._wait(context)
        yield b"too late"

    def stream_unary(self, requests: Iterator[bytes], context: Any) -> bytes:
        self._wait(context)
        return b"too late"

    def stream_stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield b"begun"
        self._wait(context)
        yield b"too late"

    def listening(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        context.add_callback(lambda: self.told.append(context))
        self.entered.put(context)
        try:
            while True:
                self.listens.release()
                request = next(requests, None)
                if request is None:
                    break
                yield request
            self.finished.append("all was said")
        except (grpc.RpcError, GeneratorExit):
            self.finished.append("cut off")
            raise

    @property
    def handlers(self) -> dict[str, Any]:
        """By kind, and `listening`."""
        found = {kind: handler(kind, getattr(self, kind)) for kind in STREAMS}
        return found | {"listening": handler("stream_stream", self.listening)}


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    handlers = Waiting()
    yield handlers
    handlers.released.set()


class Stream:
    """A call that is open, seen by its caller."""

    def __init__(
        self,
        shop: Guarded,
        kind: str,
        text: str,
        *,
        name: str | None = None,
        method: str | None = None,
        channel: Any = None,
    ) -> None:
        self.kind = kind
        self.said = Conversation(b"one")
        messages: Any = self.said if kind.startswith("stream_") else [b"one"]
        metadata = (*bearer(text), *((("authclient-stream", name),) if name else ()))
        self.call = begin(channel or shop.channel, kind, path(method or kind), messages, metadata, 60)

    def end(self) -> Outcome:
        """Wait until it is over."""
        reading = threading.Thread(target=self._read, daemon=True)  # A status comes after the answers before it.
        reading.start()
        reading.join(SOON)
        self.said.hang_up()
        assert not reading.is_alive(), "the stream is still open"
        return ending(self.call, [])

    def _read(self) -> None:
        with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
            _ = list(self.call) if self.kind.endswith("_stream") else self.call.result()

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return bool(self.call.is_active())

    def leave(self) -> None:
        """Hang up."""
        self.call.cancel()
        self.said.hang_up()


@pytest.fixture
def hands() -> Hands:
    return Hands(1000.0)


@pytest.fixture
def timed(auth: AuthServer, new_trust: NewTrust, hands: Hands, monkeypatch: pytest.MonkeyPatch) -> Trust:
    """Return a Trust whose clock is in the hands of the test, and which looks at it often."""
    monkeypatch.setattr("authclient.watch.TICK_SECONDS", 0.02)
    auth.uptime = hands
    made = new_trust(auth, monotonic=hands)
    assert made.wait_until_ready(SOON)
    return made


@pytest.fixture
def shop(timed: Trust, waiting: Waiting) -> Iterator[Guarded]:
    with Guarded(timed, waiting.handlers) as guarded:
        yield guarded
        waiting.released.set()


def summary(found: Outcome) -> str:
    return f"{found.code.name} {found.reason}"


def entered(waiting: Waiting, count: int = 1) -> list[Any]:
    return [waiting.entered.get(timeout=SOON) for _ in range(count)]


def all_open(shop: Guarded, waiting: Waiting, text: str, **options: Any) -> list[Stream]:
    streams = [Stream(shop, kind, text, **options) for kind in STREAMS]
    entered(waiting, 3)
    assert shop.leases == 3
    return streams


# --- how they end -----------------------------------------------------------------------------------------------------


def test_a_revoked_session_ends_its_streams_while_their_handlers_wait(
    auth: AuthServer, shop: Guarded, waiting: Waiting, heard: Heard
) -> None:
    streams, other = all_open(shop, waiting, token()), Stream(shop, "unary_stream", token(sid=uuid(7)))
    [context] = entered(waiting)
    begun = time.monotonic()
    auth.revoke(ended())
    assert [summary(stream.end()) for stream in streams] == ["UNAUTHENTICATED SESSION_ENDED"] * 3
    assert time.monotonic() - begun < 2.0
    assert not waiting.released.is_set(), "no handler was needed for that"
    assert sorted(heard.refusals) == sorted((path(kind), "SESSION_ENDED", True) for kind in STREAMS)
    eventually(lambda: len(waiting.told) == 3, "the handlers' own callbacks")
    assert other.is_open
    assert find_identity(context)
    assert shop.leases == 1
    other.leave()
    eventually(lambda: shop.leases == 0, "nothing is kept")


def test_a_handler_that_listens_is_woken_by_the_end(auth: AuthServer, shop: Guarded, waiting: Waiting) -> None:
    stream = Stream(shop, "stream_stream", token(), method="listening")
    entered(waiting)
    assert next(stream.call) == b"one"
    assert all(waiting.listens.acquire(timeout=SOON) for _ in range(2)), "it listens for the second request"
    auth.revoke(ended())
    assert summary(stream.end()) == "UNAUTHENTICATED SESSION_ENDED"
    eventually(lambda: waiting.finished, "the handler stops listening")


def test_a_handler_can_tell_a_refused_stream_from_one_whose_caller_is_done(
    auth: AuthServer, shop: Guarded, waiting: Waiting
) -> None:
    stream = Stream(shop, "stream_stream", token(), method="listening")
    entered(waiting)
    assert next(stream.call) == b"one"
    assert all(waiting.listens.acquire(timeout=SOON) for _ in range(2)), "it listens for the second request"
    auth.revoke(ended())
    stream.end()
    eventually(lambda: waiting.finished, "the handler stops listening")
    assert waiting.finished == ["cut off"], "half an upload must not look like a whole one"


def test_outdated_tokens_end_streams(auth: AuthServer, shop: Guarded, waiting: Waiting) -> None:
    streams = all_open(shop, waiting, token(gen=2))
    newer = Stream(shop, "unary_stream", token(gen=3))
    entered(waiting)
    auth.revoke(outdated(3))
    assert [summary(stream.end()) for stream in streams] == ["UNAUTHENTICATED TOKEN_OUTDATED"] * 3
    assert newer.is_open


def test_a_stream_ends_thirty_seconds_after_its_token(
    auth: AuthServer, shop: Guarded, waiting: Waiting, timed: Trust
) -> None:
    streams = all_open(shop, waiting, token(exp=SECONDS + 100))
    auth.time = SECONDS + 120  # What is left of the leeway is for the time that the test takes.
    eventually(lambda: timed.knowledge.now() >= SECONDS + 120, "the new time")
    ticks = time.monotonic() + 0.2
    eventually(lambda: time.monotonic() > ticks, "some ticks")
    assert all(stream.is_open for stream in streams)
    auth.time = SECONDS + 130
    assert [summary(stream.end()) for stream in streams] == ["UNAUTHENTICATED TOKEN_EXPIRED"] * 3
    assert shop.leases == 0


def test_a_stream_expires_by_this_process_own_clock_while_nobody_tells_the_time(
    auth: AuthServer, shop: Guarded, waiting: Waiting, hands: Hands
) -> None:
    streams = all_open(shop, waiting, token(exp=SECONDS + 100))
    auth.stop()
    hands.now += 131.0
    assert [summary(stream.end()) for stream in streams] == ["UNAUTHENTICATED TOKEN_EXPIRED"] * 3


def test_s3_a_stale_view_asks_verify_and_ends_the_streams_that_nobody_vouches_for(
    auth: AuthServer, shop: Guarded, waiting: Waiting, hands: Hands
) -> None:
    good, bad = token(sid=uuid(1)), token(sid=uuid(2))

    def verify(request: Any, context: Any) -> Any:
        return identity() if request.access_token == good else refuse(context, UNAUTHENTICATED, "SESSION_ENDED")

    auth.verify = verify
    streams = {text: all_open_of(shop, waiting, text) for text in (good, bad)}
    auth.is_scripted = True  # Silent from now on.
    auth.cut()
    eventually(lambda: len(auth.opened) > 1, "the silent stream")
    hands.now += 11.0
    assert [summary(stream.end()) for stream in streams[bad]] == ["UNAUTHENTICATED SESSION_ENDED"] * 3
    eventually(lambda: auth.shown.count(good) >= 3, "the questions")
    assert all(stream.is_open for stream in streams[good])
    asked = len(auth.shown)
    ticks = time.monotonic() + 0.2
    eventually(lambda: time.monotonic() > ticks, "some ticks")
    assert len(auth.shown) == asked, "an answer counts for as long as a view would"
    auth.stop()
    hands.now += 11.0
    assert [summary(stream.end()) for stream in streams[good]] == ["UNAVAILABLE VERIFICATION_UNAVAILABLE"] * 3
    assert shop.leases == 0


def all_open_of(shop: Guarded, waiting: Waiting, text: str) -> list[Stream]:
    streams = [Stream(shop, kind, text) for kind in STREAMS]
    entered(waiting, 3)
    return streams


def test_a_staleness_below_two_seconds_counts_as_two(
    auth: AuthServer, timed: Trust, waiting: Waiting, hands: Hands
) -> None:
    auth.verify = lambda _request, _context: identity()
    rule = Rule(authenticated=True, max_staleness=Duration())
    with Guarded(timed, waiting.handlers, dict.fromkeys(waiting.handlers, rule)) as shop:
        streams = all_open(shop, waiting, token())
        assert len(auth.shown) == 3, "to be let in"
        auth.is_scripted = True
        auth.cut()
        eventually(lambda: len(auth.opened) > 1, "the silent stream")
        auth.verify = lambda _request, context: refuse(context, UNAVAILABLE)
        hands.now += 2.0 - timed.view_age() - 0.01
        ticks = time.monotonic() + 0.2
        eventually(lambda: time.monotonic() > ticks, "some ticks")
        assert all(stream.is_open for stream in streams)
        hands.now += 0.02
        assert [summary(stream.end()) for stream in streams] == ["UNAVAILABLE VERIFICATION_UNAVAILABLE"] * 3
        waiting.released.set()


def test_a_stream_under_an_observing_or_public_rule_is_left_alone(
    auth: AuthServer, timed: Trust, waiting: Waiting
) -> None:
    rules = {
        "unary_stream": Rule(public=True),
        "stream_unary": Rule(authenticated=True, observe=True),
        "stream_stream": Rule(authenticated=True, observe=True),
        "listening": Rule(public=True),
    }
    with Guarded(timed, waiting.handlers, rules) as shop:
        streams = all_open_of(shop, waiting, token())
        assert shop.leases == 0
        auth.revoke(ended())
        eventually(lambda: timed.knowledge.view.sessions, "the rule")
        ticks = time.monotonic() + 0.1
        eventually(lambda: time.monotonic() > ticks, "some ticks")
        assert all(stream.is_open for stream in streams)
        waiting.released.set()
        assert [stream.end().code for stream in streams] == [grpc.StatusCode.OK] * 3


def test_a6_a_failing_observer_does_not_keep_a_revoked_stream_open(
    auth: AuthServer, shop: Guarded, waiting: Waiting, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = all_open(shop, waiting, token())
    monkeypatch.setattr(heard, "refused", unreachable)
    auth.revoke(ended())
    assert [summary(stream.end()) for stream in streams] == ["UNAUTHENTICATED SESSION_ENDED"] * 3


# --- renewal ----------------------------------------------------------------------------------------------------------


def renew(shop: Guarded, text: str | None, name: str = NAME, metadata: Any = None) -> str:
    """Try to renew a stream. Return until when, in seconds after the beginning, or why not."""
    stub = rpc.StreamServiceStub(shop.channel)
    try:
        answer = stub.RenewStream(
            api.RenewStreamRequest(stream_id=name), metadata=metadata or (bearer(text) if text else ()), timeout=SOON
        )
    except grpc.RpcError as error:
        return f"{error.code().name} {reason_of(error.trailing_metadata())}"
    return str(answer.expire_time.seconds - SECONDS)


def test_a_fresher_token_of_the_same_user_lets_a_stream_live_on(
    auth: AuthServer, shop: Guarded, waiting: Waiting
) -> None:
    first = token(exp=SECONDS + 100)
    named, unnamed = Stream(shop, "stream_stream", first, name=NAME), Stream(shop, "stream_stream", first)
    entered(waiting, 2)
    assert renew(shop, token(exp=SECONDS + 900, sid=uuid(5))) == "900"
    auth.time = SECONDS + 200
    assert summary(unnamed.end()) == "UNAUTHENTICATED TOKEN_EXPIRED"
    assert named.is_open
    auth.revoke(ended())
    auth.revoke(ended(uuid(5)))
    assert summary(named.end()) == "UNAUTHENTICATED SESSION_ENDED", "with the session of the fresh token"


def test_a_renewed_stream_does_not_end_with_its_first_session(
    auth: AuthServer, shop: Guarded, waiting: Waiting, timed: Trust
) -> None:
    stream = Stream(shop, "unary_stream", token(exp=SECONDS + 100), name=NAME)
    entered(waiting)
    assert renew(shop, token(exp=SECONDS + 900, sid=uuid(5))) == "900"
    auth.revoke(ended())
    eventually(lambda: timed.knowledge.view.sessions, "the rule")
    ticks = time.monotonic() + 0.1
    eventually(lambda: time.monotonic() > ticks, "some ticks")
    assert stream.is_open


@pytest.mark.parametrize(("first", "second"), [(100, 900), (900, 100)])
def test_the_answer_to_a_renewal_says_when_the_stream_really_ends(
    auth: AuthServer, shop: Guarded, waiting: Waiting, timed: Trust, first: int, second: int
) -> None:
    stream = Stream(shop, "unary_stream", token(exp=SECONDS + first), name=NAME)
    entered(waiting)
    ends = SECONDS + int(renew(shop, token(exp=SECONDS + second)))
    auth.time = ends + 29
    eventually(lambda: timed.knowledge.now() >= ends + 29, "the new time")
    ticks = time.monotonic() + 0.1
    eventually(lambda: time.monotonic() > ticks, "some ticks")
    assert stream.is_open
    auth.time = ends + 30
    assert summary(stream.end()) == "UNAUTHENTICATED TOKEN_EXPIRED"


def test_a_stream_is_renewed_by_nobody_else_and_by_no_bad_token(
    auth: AuthServer, timed: Trust, waiting: Waiting
) -> None:
    rule = Rule(any_role=["reader"], mfa=True, max_auth_age=Duration(seconds=60))
    strong: dict[str, Any] = {"amr": ["pwd", "mfa"]}
    auth.revoke(ended(uuid(66)))
    eventually(lambda: timed.knowledge.view.sessions, "the rule")
    with Guarded(timed, waiting.handlers, dict.fromkeys(waiting.handlers, rule)) as shop:
        stream = Stream(shop, "stream_stream", token(**strong, exp=SECONDS + 100), name=NAME)
        entered(waiting)
        later = SECONDS + 900
        tries = {
            "another user": (token(**strong, sub=uuid(1), exp=later), "NOT_FOUND STREAM_UNKNOWN"),
            "no token": (None, "UNAUTHENTICATED TOKEN_MISSING"),
            "garbage": ("garbage", "UNAUTHENTICATED TOKEN_INVALID"),
            "another audience": (token(**strong, aud="b", exp=later), "UNAUTHENTICATED TOKEN_INVALID"),
            "an ended session": (token(**strong, sid=uuid(66), exp=later), "UNAUTHENTICATED SESSION_ENDED"),
            "expired": (
                token(**strong, iat=SECONDS - 900, nbf=SECONDS - 900, exp=SECONDS - 60),
                "UNAUTHENTICATED TOKEN_EXPIRED",
            ),
            "one factor": (token(exp=later), "PERMISSION_DENIED MFA_REQUIRED"),
            "no role": (token(**strong, roles=[], exp=later), "PERMISSION_DENIED ROLE_MISSING"),
            "an old login": (
                token(**strong, auth_time=SECONDS - 600, exp=later),
                "PERMISSION_DENIED AUTHENTICATION_TOO_OLD",
            ),
        }
        found = {why: renew(shop, text) for why, (text, _) in tries.items()}
        assert found == {why: expected for why, (_, expected) in tries.items()}
        names = ["", "x", NAME[:-1], NAME + "x", NAME.upper(), "a" * 22, "é" * 22, NAME + "\n"]
        assert {renew(shop, token(**strong, exp=later), name) for name in names} == {"NOT_FOUND STREAM_UNKNOWN"}
        twice = (*bearer(token(**strong, exp=later)), *bearer(token(**strong, exp=later)))
        assert renew(shop, None, metadata=twice) == "UNAUTHENTICATED TOKEN_INVALID"
        auth.time = SECONDS + 200
        assert summary(stream.end()) == "UNAUTHENTICATED TOKEN_EXPIRED", "none of them did anything"
        assert renew(shop, token(**strong, exp=later, auth_time=SECONDS + 190)) == "NOT_FOUND STREAM_UNKNOWN"
        waiting.released.set()


def test_a_name_that_is_no_name_names_nothing(shop: Guarded, waiting: Waiting) -> None:
    bad = ["short", "a" * 21, "a" * 65, "a" * 21 + ".", "a" * 21 + " ", "a" * 21 + "="]
    streams = [Stream(shop, "unary_stream", token(), name=name) for name in bad]
    entered(waiting, len(bad))
    assert {renew(shop, token(), name) for name in bad} == {"NOT_FOUND STREAM_UNKNOWN"}
    good = [Stream(shop, "unary_stream", token(), name=name) for name in ("a" * 22, "_" * 64, NAME)]
    entered(waiting, 3)
    assert {renew(shop, token(), name) for name in ("a" * 22, "_" * 64, NAME)} == {"900"}
    for stream in (*streams, *good):
        stream.leave()
    eventually(lambda: shop.leases == 0, "nothing is kept")
    assert renew(shop, token()) == "NOT_FOUND STREAM_UNKNOWN"


def test_a_name_belongs_to_the_newest_stream_of_each_user(auth: AuthServer, shop: Guarded, waiting: Waiting) -> None:
    mine = token(exp=SECONDS + 100)
    others = token(exp=SECONDS + 100, sub=uuid(1), sid=uuid(2))
    older = Stream(shop, "unary_stream", mine, name=NAME)
    entered(waiting)
    theirs = Stream(shop, "unary_stream", others, name=NAME)
    entered(waiting)
    newer = Stream(shop, "unary_stream", mine, name=NAME)
    entered(waiting)
    older.leave()
    eventually(lambda: shop.leases == 2, "the older one is gone, and takes nothing with it")
    assert renew(shop, token(exp=SECONDS + 900)) == "900"
    auth.time = SECONDS + 200
    assert summary(theirs.end()) == "UNAUTHENTICATED TOKEN_EXPIRED"
    assert newer.is_open


# --- many, and all at once --------------------------------------------------------------------------------------------


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
