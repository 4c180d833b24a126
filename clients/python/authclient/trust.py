"""The connection to the authentication service: the stream that keeps the knowledge young, and Verify for the rest."""

import asyncio
import contextlib
import functools
import ipaddress
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import auth_service_pb2_grpc as auth_rpc
from authapi.v1 import trust_service_pb2 as api
from authapi.v1 import trust_service_pb2_grpc as rpc

from authclient import decisions
from authclient.decisions import Ask, Judge, Verified
from authclient.key_sets import SHARED_SECRET_ID, KeySetRefused, load_key_set
from authclient.keys import VerificationKey
from authclient.knowledge import MONOTONIC, Knowledge, View, seconds
from authclient.observer import Observer, contain
from authclient.refusals import Refused, is_about_token, reason_of

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between two attempts to open the stream, doubled from one to the other, half of it at random."""
SILENCE_SECONDS = 5.0
"""A stream without any answer for so long is dead: a living one answers every second."""
LONGEST_STREAM = 3600.0
"""Seconds after which a stream is opened anew: two monotonic clocks drift apart by some 70 ms in that time."""
CONNECT_SECONDS = 2.0
TICK_SECONDS = 0.5
ASK_SECONDS = 5.0
"""How long Verify may take."""

CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", int(FIRST_PAUSE * 1000)),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", int(LONGEST_PAUSE * 1000)),
)

# Nothing in the environment is to lead plaintext away from this machine.
PLAINTEXT_OPTIONS = (*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0))


class _Incomplete(Exception):
    """The server knows of a rule that is not known here."""


class Trust:
    """What one process knows about tokens, kept up to date in the background. Lives as long as the process.

    Starts without the authentication service and goes on trying to reach it. Must be made after a fork.

    Args:
        address: `host:port` of the authentication service, or a channel to it.
        audience: the only `aud` that is accepted; whatever the authentication service issues for you.
        issuer: the only accepted `iss`.
        credentials: how to reach the service; None for plaintext, which is for loopback only.
        insecure: allow plaintext to another machine.
        shared_secret: the JWT_SECRET of the authentication service, where it signs with that.
        max_staleness: seconds that the view may be old, for rules that leave it open.
        max_key_age: seconds that keys are used after they were last known to be current.
        patience: seconds that a call may wait for the first view after the start.
        observer: hears of the connection and of each decision.

    Raises:
        ValueError: issuer or audience is empty, or plaintext would leave this machine.
    """

    def __init__(
        self,
        address: str | grpc.Channel,
        *,
        audience: str,
        issuer: str = "authservice",
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
        shared_secret: bytes | None = None,
        max_staleness: float = decisions.MAX_STALENESS,
        max_key_age: float = decisions.MAX_KEY_AGE,
        patience: float = 2.0,
        observer: Observer | None = None,
        monotonic: Callable[[], float] = MONOTONIC,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.knowledge = Knowledge(monotonic, clock)
        self.judge = Judge(self.knowledge, issuer, audience, max_staleness=max_staleness, max_key_age=max_key_age)
        self.patience = patience
        self.observer = observer or Observer()
        self.monotonic = monotonic
        self._secret = VerificationKey(SHARED_SECRET_ID, "HS256", shared_secret) if shared_secret else None
        self._owns_channel = isinstance(address, str)
        self._channel = open_channel(address, credentials, insecure) if isinstance(address, str) else address
        self._verify = auth_rpc.AuthServiceStub(self._channel).Verify
        stub = rpc.TrustServiceStub(self._channel)
        self._keys, self._watch = stub.GetSigningKeys, stub.WatchRevocations
        self._ready = threading.Event()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = set()
        self._closing = threading.Event()
        self._call: Any = None
        self._heard_at = 0.0
        self._resume_point: api.ResumePoint | None = None
        self._listeners: list[Callable[[], None]] = []
        self._threads = [
            threading.Thread(target=work, name=f"authclient-{name}", daemon=True)
            for name, work in (("trust", self._stay_connected), ("clock", self._tick))
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Trust":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the background work. Calls are judged by what is known until that is too old."""
        self._closing.set()
        if call := self._call:
            call.cancel()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        if self._owns_channel:
            self._channel.close()

    def view_age(self) -> float:
        """Return how many seconds ago the knowledge of revocations was complete; infinite if it never was."""
        return self.knowledge.view_age()

    @property
    def signatures_checked(self) -> int:
        """How many tokens were seen for the first time."""
        return self.judge.signatures_checked

    def wait_until_ready(self, timeout: float) -> bool:
        """Wait for the first complete view. Tells whether it is there."""
        return self._ready.wait(timeout)

    async def until_ready(self, timeout: float) -> bool:
        """As `wait_until_ready`, for asyncio."""
        loop = asyncio.get_running_loop()
        waiter = loop, loop.create_future()
        self._waiting.add(waiter)
        try:
            if not self.is_ready:
                await asyncio.wait_for(waiter[1], timeout)
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(waiter)
        return self.is_ready

    @property
    def is_ready(self) -> bool:
        """Whether there was a complete view once."""
        return self._ready.is_set()

    def ask(self, question: Ask, timeout: float) -> Verified:
        """Return whose token it is, as Verify says. Raises Refused."""
        request = auth_api.VerifyRequest(access_token=question.token)
        try:
            answer = self._verify(request, timeout=min(timeout, ASK_SECONDS))
        except grpc.RpcError as error:
            raise _refusal(error) from None
        return _settled(question, answer)

    async def ask_async(self, question: Ask, timeout: float) -> Verified:
        """As `ask`, for asyncio."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        request = auth_api.VerifyRequest(access_token=question.token)
        call = self._verify.future(request, timeout=min(timeout, ASK_SECONDS))
        call.add_done_callback(functools.partial(_tell, loop, done))
        try:
            await done
        finally:
            call.cancel()  # Does nothing to a call that is done.
        if call.code() is not grpc.StatusCode.OK:
            raise _refusal(call)
        return _settled(question, call.result())

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change of the view, and twice a second. It must not wait."""
        self._listeners.append(listener)

    def _stay_connected(self) -> None:
        pause = FIRST_PAUSE
        while not self._closing.is_set():
            stream = _Stream()
            try:
                self._follow(stream)
            except Exception as error:
                contain(self.observer.disconnected, _why(error))
            if stream.was_complete:
                pause = FIRST_PAUSE
            self._closing.wait(pause * (0.5 + random.random() / 2))  # noqa: S311  # spreads, hides nothing
            pause = min(2 * pause, LONGEST_PAUSE)

    def _follow(self, stream: "_Stream") -> None:
        """Open the stream and take its answers. Returns when it is to be opened anew; raises what ends it before."""
        self._await_connection()
        stream.opened_at = self.monotonic()
        self._heard_at = time.monotonic()
        call = self._watch(api.WatchRevocationsRequest(resume_point=self._resume_point))
        self._call = call
        try:
            if self._closing.is_set():
                raise grpc.FutureCancelledError
            for answer in call:
                self._heard_at = time.monotonic()
                self._take(answer, stream)
                if self.monotonic() > stream.opened_at + LONGEST_STREAM:
                    return
        except grpc.RpcError:
            if call.code() is grpc.StatusCode.OUT_OF_RANGE:
                self._resume_point = None
            raise
        finally:
            self._call = None
            call.cancel()

    def _await_connection(self) -> None:
        # Before the stream is opened, so that the time this takes does not make every answer look older. By a call:
        # asking grpc for the state of a channel leaves a thread behind that complains when the channel is closed.
        call = self._keys.future(api.GetSigningKeysRequest(), wait_for_ready=True, timeout=CONNECT_SECONDS)
        self._heard_at = time.monotonic()
        self._call = call
        try:
            if self._closing.is_set():
                raise grpc.FutureCancelledError
            call.result()
        except grpc.RpcError:
            # Whatever else it answers, it is there.
            if call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
        finally:
            self._call = None
            call.cancel()

    def _take(self, answer: api.WatchRevocationsResponse, stream: "_Stream") -> None:
        if answer.HasField("open_uptime"):
            stream.uptime_offset = stream.opened_at - seconds(answer.open_uptime)
        if answer.HasField("key_set"):
            stream.has_keys = self._take_keys(answer.key_set)
        is_delta = answer.part == api.WATCH_PART_DELTA
        view = self.knowledge.view if is_delta else stream.draft
        for rule in answer.revocations:
            view.add(rule)
        if answer.part == api.WATCH_PART_SNAPSHOT:
            return
        read_time = seconds(answer.read_time)
        view.drop_expired(read_time)
        if view.rule_count != answer.rule_count:
            self._resume_point = None
            raise _Incomplete(f"{answer.rule_count} rules are expected, {view.rule_count} are there")
        self.knowledge.view, stream.draft = view, View()
        self.knowledge.complete(read_time, stream.uptime_offset + seconds(answer.read_uptime), keys=stream.has_keys)
        self._resume_point = answer.resume_point
        has_news = not is_delta or bool(answer.revocations) or answer.HasField("key_set")
        self._completed(stream, has_news=has_news)

    def _completed(self, stream: "_Stream", *, has_news: bool) -> None:
        if not stream.was_complete:
            stream.was_complete = True
            contain(self.observer.connected)
        if not self.is_ready:
            self._ready.set()
            for loop, done in list(self._waiting):
                _tell(loop, done)
        if has_news:
            self._notify()

    def _take_keys(self, key_set: api.KeySet) -> bool:
        """Take over a key set if it is good. Tells whether it is."""
        try:
            keys = load_key_set(key_set, self.knowledge.keys)
        except KeySetRefused as refused:
            contain(self.observer.key_set_refused, str(refused))
            return False
        if key_set.is_shared_secret and self._secret:
            keys = {self._secret.kid: self._secret}
        self.knowledge.keys = keys
        self.knowledge.is_shared_secret = key_set.is_shared_secret and not self._secret
        return True

    def _tick(self) -> None:
        while not self._closing.wait(TICK_SECONDS):
            call = self._call
            if call and time.monotonic() - self._heard_at > SILENCE_SECONDS:
                call.cancel()
            self._notify()

    def _notify(self) -> None:
        for listener in self._listeners:
            contain(listener)


class _Stream:
    """One attempt to watch.

    `uptime_offset` added to the server's uptime gives the local monotonic time, at the earliest.
    """

    def __init__(self) -> None:
        self.opened_at = 0.0
        self.uptime_offset = 0.0
        self.draft = View()
        self.has_keys = False
        self.was_complete = False


def open_channel(address: str, credentials: grpc.ChannelCredentials | None, insecure: bool) -> grpc.Channel:
    """Return a channel. Raises ValueError if tokens would leave this machine in the clear, unless `insecure`."""
    if credentials is not None:
        return grpc.secure_channel(address, credentials, options=CHANNEL_OPTIONS)
    require_loopback(address, insecure)
    return grpc.insecure_channel(address, options=PLAINTEXT_OPTIONS)


def require_loopback(address: str, insecure: bool) -> None:
    """Raise ValueError unless `host:port` is this machine, or `insecure` is set."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost" or address.startswith("unix:")
    if not (is_loopback or insecure):
        raise ValueError(
            f"{address} is another machine, and tokens would travel in the clear. Pass "
            "credentials=grpc.ssl_channel_credentials(...), or insecure=True if something else encrypts the way there"
        )


def _settled(question: Ask, answer: auth_api.VerifyResponse) -> Verified:
    if not answer.identity.user_id:
        raise Refused("VERIFICATION_UNAVAILABLE")
    return question.settle(answer.identity)


def _refusal(error: Any) -> Refused:
    """Return what an error of Verify means for the call that is judged."""
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        reason = reason_of(error.trailing_metadata())
        if reason and is_about_token(reason):
            return Refused(reason)
    return Refused("VERIFICATION_UNAVAILABLE", f"Verify answered {error.code()}")


def _tell(loop: asyncio.AbstractEventLoop, done: "asyncio.Future[None]", _call: object = None) -> None:
    with contextlib.suppress(RuntimeError):  # The loop may be closed by now.
        loop.call_soon_threadsafe(_finish, done)


def _finish(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)


def _why(error: Exception) -> str:
    if isinstance(error, grpc.RpcError):
        return f"{error.code()}: {error.details()}"
    return f"{type(error).__name__}: {error}"
