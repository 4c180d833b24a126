"""An authentication service that says what a test tells it to, on a real socket.

Its clock stands at the first of January 2026, which is not the time of the machine that runs the tests.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NoReturn

import grpc
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import auth_service_pb2_grpc as auth_rpc
from authapi.v1 import trust_service_pb2 as api
from authapi.v1 import trust_service_pb2_grpc as rpc
from authclient import Observer
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from tests.unit.forgery import AUDIENCE, GOOD_CLAIMS, ISSUER, SECONDS, Forger, forger, to_json

USER, SESSION = str(GOOD_CLAIMS["sub"]), str(GOOD_CLAIMS["sid"])
HISTORY = "history-one"
SNAPSHOT, SNAPSHOT_END, DELTA = api.WATCH_PART_SNAPSHOT, api.WATCH_PART_SNAPSHOT_END, api.WATCH_PART_DELTA
BEAT_SECONDS = 0.1
SOON = 10.0
"""Seconds within which a thing that should happen has to happen. Far more than it takes."""

__all__ = ["AUDIENCE", "ISSUER", "SECONDS", "forger"]


def eventually(condition: Callable[[], object], what: str, seconds: float = SOON) -> None:
    """Return as soon as the condition holds; fail if it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.002)  # The pace of asking, not a guess at how long it takes.


def uuid(number: int) -> str:
    """Return one of many UUIDs."""
    return f"00000000-0000-4000-8000-{number:012x}"


def token(signer: Forger | None = None, **claims: Any) -> str:
    """Return a token that is good unless its claims say otherwise."""
    return (signer or forger("ES256")).token(to_json(GOOD_CLAIMS | claims))


def bearer(text: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call with this token."""
    return (("authorization", f"Bearer {text}"),)


def key_set(*signers: Forger) -> api.KeySet:
    """Return the public keys of these."""
    return api.KeySet(
        keys=[
            api.SigningKey(
                kid=each.kid,
                alg=each.alg,
                public_key=each.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
                state=api.KEY_STATE_ACTIVE,
            )
            for each in signers
        ]
    )


def ended(session_id: str = SESSION, expire: int = SECONDS + 3600) -> api.Revocation:
    """Return the rule that a session is over."""
    return api.Revocation(session_id=session_id, expire_time=Timestamp(seconds=expire))


def outdated(generation: int, user_id: str = USER, expire: int = SECONDS + 3600) -> api.Revocation:
    """Return the rule that a user's tokens below a generation are outdated."""
    subject = api.OutdatedTokens(user_id=user_id, min_generation=generation)
    return api.Revocation(outdated_tokens=subject, expire_time=Timestamp(seconds=expire))


def identity(**changes: Any) -> auth_api.VerifyResponse:
    """Return Verify's answer for the good token."""
    known: dict[str, Any] = {
        "user_id": USER,
        "user_name": "Ada",
        "session_id": SESSION,
        "roles": ["reader"],
        "auth_methods": ["pwd"],
        "auth_time": Timestamp(seconds=SECONDS),
        "expire_time": Timestamp(seconds=SECONDS + 900),
    }
    return auth_api.VerifyResponse(identity=auth_api.Identity(**known | changes))


def refuse(context: grpc.ServicerContext, code: grpc.StatusCode, reason: str = "", domain: str = "authservice") -> Any:
    """End a call as the real service would."""
    if reason:
        packed = AnyMessage()
        packed.Pack(ErrorInfo(reason=reason, domain=domain))
        status = Status(code=code.value[0], details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, "scripted")


def step(
    part: Any = DELTA,
    *rules: api.Revocation,
    count: int = 0,
    read: float = 100.0,
    opened: float | None = None,
    time_: float = SECONDS,
    keys: api.KeySet | None = None,
    seq: int = 0,
) -> api.WatchRevocationsResponse:
    """Return one answer of a watch.

    Args:
        count: how many rules there are, as the server counts.
        read: the server's uptime when it read them.
        opened: its uptime when the stream was opened; with it, it is the first answer.
        time_: its clock.
    """
    message = api.WatchRevocationsResponse(
        part=part,
        revocations=rules,
        rule_count=count,
        resume_point=api.ResumePoint(history=HISTORY, seq=seq),
        key_set=keys,
    )
    message.read_time.FromDatetime(datetime.fromtimestamp(time_, UTC))
    message.read_uptime.CopyFrom(_duration(read))
    if opened is not None:
        message.open_uptime.CopyFrom(_duration(opened))
    return message


def _duration(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=round(seconds % 1 * 1e9))


class Watch:
    """One open stream, whose answers a test writes."""

    def __init__(self, request: api.WatchRevocationsRequest, context: grpc.ServicerContext) -> None:
        self.request = request
        self.opened_at = time.monotonic()
        self.is_over = threading.Event()
        self._context = context
        self._lines: queue.SimpleQueue[Any] = queue.SimpleQueue()
        if not context.add_callback(self._left):
            self._left()

    @property
    def resume_point(self) -> api.ResumePoint | None:
        """Where it wants to go on."""
        return self.request.resume_point if self.request.HasField("resume_point") else None

    def say(self, *answers: api.WatchRevocationsResponse) -> "Watch":
        """Send answers."""
        for each in answers:
            self._lines.put(each)
        return self

    def end(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, reason: str = "SHUTTING_DOWN") -> None:
        """End the stream."""
        self._lines.put((code, reason))

    def _left(self) -> None:
        self.is_over.set()
        self._lines.put(None)

    def lines(self) -> Iterator[api.WatchRevocationsResponse]:
        """Yield what the test writes."""
        while (line := self._lines.get()) is not None:
            if isinstance(line, tuple):
                refuse(self._context, *line)
            yield line


class AuthServer(rpc.TrustServiceServicer, auth_rpc.AuthServiceServicer):
    """Plays TrustService and AuthService.

    Keeps its watchers up to date by itself, unless `is_scripted`: then each new watch is in `watches` and says nothing
    until the test does.
    """

    def GetSigningKeys(self, request: api.GetSigningKeysRequest, context: Any) -> api.GetSigningKeysResponse:
        """See the contract."""
        return api.GetSigningKeysResponse(key_set=self.keys)

    def __init__(self, *signers: Forger, is_scripted: bool = False) -> None:
        self.is_scripted = is_scripted
        self.keys = key_set(*(signers or (forger("ES256"),)))
        self.time: float = SECONDS
        self.uptime: Callable[[], float] = time.monotonic
        self.rules: list[api.Revocation] = []
        self.watches: queue.SimpleQueue[Watch] = queue.SimpleQueue()
        self.opened: list[Watch] = []
        self.shown: list[str] = []
        """Tokens that Verify was asked about."""
        self.verify: Callable[[Any, grpc.ServicerContext], Any] = lambda _request, context: refuse(
            context, grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE"
        )
        self._changed = threading.Condition()
        self._epoch = 0
        self._server: grpc.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """Where it is."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> "AuthServer":
        """Start, on the port that it had before."""
        self._server = grpc.server(ThreadPoolExecutor(16))
        rpc.add_TrustServiceServicer_to_server(self, self._server)
        auth_rpc.add_AuthServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()
        return self

    def stop(self) -> None:
        """Be gone at once."""
        if self._server:
            stopped = self._server.stop(0)
            self.cut()
            stopped.wait()
            self._server = None

    def __enter__(self) -> "AuthServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def next_watch(self) -> Watch:
        """Return the next stream that is opened."""
        return self.watches.get(timeout=SOON)

    def revoke(self, *rules: api.Revocation) -> None:
        """Add rules and tell everybody."""
        with self._changed:
            self.rules += rules
            self._changed.notify_all()

    def publish(self, keys: api.KeySet) -> None:
        """Change the key set and tell everybody."""
        with self._changed:
            self.keys = keys
            self._changed.notify_all()

    def cut(self) -> None:
        """End every stream."""
        with self._changed:
            self._epoch += 1
            self._changed.notify_all()

    def Verify(self, request: auth_api.VerifyRequest, context: grpc.ServicerContext) -> auth_api.VerifyResponse:
        self.shown.append(request.access_token)
        answer: auth_api.VerifyResponse = self.verify(request, context)
        return answer

    def WatchRevocations(
        self, request: api.WatchRevocationsRequest, context: grpc.ServicerContext
    ) -> Iterator[api.WatchRevocationsResponse]:
        watch = Watch(request, context)
        self.opened.append(watch)
        self.watches.put(watch)
        yield from watch.lines() if self.is_scripted else self._news(watch, context)

    def _news(self, watch: Watch, context: grpc.ServicerContext) -> Iterator[api.WatchRevocationsResponse]:
        point = watch.resume_point
        position, keys, part, epoch, opened = 0, None, SNAPSHOT_END, self._epoch, self.uptime()
        if point:
            if point.history != HISTORY or point.seq > len(self.rules):
                refuse(context, grpc.StatusCode.OUT_OF_RANGE, "RESUME_POINT_UNKNOWN")
            position, part = point.seq, DELTA
        while context.is_active() and epoch == self._epoch:
            with self._changed:
                rules, changed = self.rules[position:], self.keys is not keys
                position, keys = len(self.rules), self.keys
                known = {each.SerializeToString(): each for each in self.rules}.values()
                count = sum(1 for each in known if each.expire_time.seconds > self.time)
                message = step(
                    part,
                    *rules,
                    count=count,
                    read=self.uptime(),
                    opened=opened if changed else None,
                    time_=self.time,
                    keys=keys if changed else None,
                    seq=position,
                )
            yield message
            part = DELTA
            with self._changed:
                if position == len(self.rules) and keys is self.keys and epoch == self._epoch:
                    self._changed.wait(BEAT_SECONDS)
        refuse(context, grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")


class Heard(Observer):
    """Keeps everything that an observer is told."""

    def __init__(self) -> None:
        self.connections = 0
        self.losses: list[str] = []
        self.bad_key_sets: list[str] = []
        self.judgements: list[tuple[str, bool]] = []
        self.refusals: list[tuple[str, str, bool]] = []

    def judged(self, method: str, *, asked: bool) -> None:
        self.judgements.append((method, asked))

    def refused(self, method: str, reason: str, *, enforced: bool) -> None:
        self.refusals.append((method, reason, enforced))

    def connected(self) -> None:
        self.connections += 1

    def disconnected(self, why: str) -> None:
        self.losses.append(why)

    def key_set_refused(self, why: str) -> None:
        self.bad_key_sets.append(why)


class Hands:
    """A clock that stands where it is put."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def unreachable(*_: Any, **__: Any) -> NoReturn:
    """Stand for a collaborator that fails."""
    raise RuntimeError(CANARY)


CANARY = "canary-of-an-inner-failure"
