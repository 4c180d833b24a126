"""The stream that keeps the knowledge young: opened, listened to, and opened again for as long as the process lives."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from authapi.v1 import trust_service_pb2 as api
from authapi.v1 import trust_service_pb2_grpc as rpc

from authclient._judging.knowledge import Knowledge
from authclient._judging.observer import Observer, contain
from authclient._tokens.keys import VerificationKey
from authclient._view.connection import Connection
from authclient._view.hearing import Hearing
from authclient._view.intake import Incomplete, Intake, is_news
from authclient._view.outage import Outage
from authclient._view.reaching import Attempt, Unheard
from authclient._waiting.lasting import LastingThread
from authclient._waiting.readiness import Readiness
from authclient._wire.calls import begin, can_end, end
from authclient._wire.channels import FIRST_PAUSE, LONGEST_PAUSE

SILENCE_SECONDS = 5.0
"""A stream without any answer for so long is dead: a living one answers every second."""
LONGEST_STREAM = 3600.0
"""Seconds after which a stream is opened anew: two monotonic clocks drift apart by some 70 ms in that time."""
CONNECT_SECONDS = 2.0
"""How long a connection may take before the log says that there is none. It is waited for all the same."""
CAUSE_SECONDS = 0.5
"""How long the cause may take to be told, after a connection has not come about."""
TICK_SECONDS = 0.5
CLOSE_SECONDS = 5.0
"""How long `close` waits for each of the two threads."""
_SILENCES = (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)
"""How a call ends that hears nothing: by the clock here, or by its own time."""


class Watch:
    """Writes into the knowledge what the authentication service says, from `start` to `close`.

    Args:
        connection: to the service. It is replaced from here when nothing is heard over it.
        hearing: is told whenever the service is heard.
        secret: the key of a service that signs with a shared secret, where it is known here.
        observer: hears of the connection.
        outage: tells the log of it.
        monotonic: the clock that the knowledge goes by.
    """

    def __init__(
        self,
        connection: Connection,
        hearing: Hearing,
        knowledge: Knowledge,
        secret: VerificationKey | None,
        observer: Observer,
        outage: Outage,
        monotonic: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._hearing = hearing
        self._knowledge = knowledge
        self._secret = secret
        self._observer = observer
        self._outage = outage
        self._monotonic = monotonic
        self._closing = threading.Event()
        self._call: Any = None
        self._heard_at = 0.0
        self._resume_point: api.ResumePoint | None = None
        self._pause = FIRST_PAUSE
        self._listeners: list[Callable[[], None]] = []
        self.ready = Readiness()
        """Whether there was a complete view once."""
        self._is_silent = False
        self._follower = LastingThread("authclient-trust", self._connect_once, self._follower_failed)
        self._clock = LastingThread("authclient-clock", self._tick, self._clock_failed)
        self.threads = [self._follower, self._clock]

    def start(self) -> None:
        """Begin, in threads of its own. Does not wait."""
        for thread in self.threads:
            thread.keep()

    def close(self) -> None:
        """End, and wait for the end, unless somebody who listens does not come to one."""
        for thread in self.threads:
            thread.stop()
        self._closing.set()
        if call := self._call:
            end(call)
        for thread in self.threads:
            thread.join(CLOSE_SECONDS)

    def unwatched_seconds(self) -> float:
        """Return for how long nobody has looked at the time here, by which open streams end; 0 while somebody does."""
        return self._clock.failing_seconds()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change of what is known, and twice a second. It must not wait."""
        self._listeners.append(listener)

    def _connect_once(self) -> None:
        """Connect, follow for as long as that lasts, and pause."""
        began = time.monotonic()
        try:
            if self._is_silent:
                self._connection.widen()
            self._await_connection()
            self._follow()
        except Exception as error:
            self._is_silent = _is_silence(error)
            self._disconnected(_why(error))
        if time.monotonic() - began > LONGEST_PAUSE:
            self._pause = FIRST_PAUSE  # It was no attempt that fails at once.
        self._closing.wait(self._pause * (0.5 + random.random() / 2))  # noqa: S311  # spreads, hides nothing
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _await_connection(self) -> None:
        # Before the stream is opened, so that the time this takes does not make every answer look older.
        ways = self._connection.ways
        try:
            channel = self._reach(Attempt(ways, wait_for_ready=True, timeout=CONNECT_SECONDS))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
            channel = self._reach(Attempt(ways[-1:], wait_for_ready=False, timeout=CAUSE_SECONDS))
        self._connection.settle(channel)

    def _reach(self, attempt: Attempt) -> grpc.Channel:
        with self._interruptible(attempt):
            try:
                return attempt.winner()
            except Unheard as unheard:
                self._connection.forsake(unheard.channels)
                raise

    def _follow(self) -> None:
        """Open the stream and take its answers. Returns when it is to be opened anew; raises what ends it before."""
        opened_at = self._monotonic()
        intake = Intake(self._knowledge, self._secret, opened_at, self._monotonic, self._observer)
        is_connected = False
        stub = rpc.TrustServiceStub(self._connection.channel)
        call = begin(stub.WatchRevocations, api.WatchRevocationsRequest(resume_point=self._resume_point))
        with self._interruptible(call):
            try:
                for answer in call:
                    self._heard_at = time.monotonic()
                    self._hearing.heard()
                    self._clock.keep()
                    if intake.take(answer):
                        self._resume_point = answer.resume_point
                        if not is_connected:
                            is_connected, self._pause = True, FIRST_PAUSE
                            self._connected()
                        self._completed(answer)
                    if self._monotonic() > opened_at + LONGEST_STREAM:
                        return
            except Incomplete:
                self._resume_point = None
                raise
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                    self._resume_point = None
                if not self._is_over_by_its_time(call, error):
                    raise

    def _is_over_by_its_time(self, call: Any, error: grpc.RpcError) -> bool:
        """Tell whether a call has ended because it was given a time here, and not for silence."""
        is_late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return is_late and not can_end(call) and time.monotonic() - self._heard_at < SILENCE_SECONDS

    def _connected(self) -> None:
        self._hearing.answered()
        self._outage.over()
        contain(self._observer.connected)

    def _disconnected(self, why: str) -> None:
        if not self._closing.is_set():
            self._outage.lost(why)
        contain(self._observer.disconnected, why)

    def _completed(self, answer: api.WatchRevocationsResponse) -> None:
        if not self.ready:
            self.ready.announce()
        if is_news(answer):
            self._notify()

    @contextlib.contextmanager
    def _interruptible(self, call: Any) -> Iterator[None]:
        """Let `close` and the clock end a call, and leave nothing of it behind."""
        self._heard_at = time.monotonic()
        self._call = call
        try:
            if self._closing.is_set():
                raise grpc.FutureCancelledError
            yield
        finally:
            self._call = None
            end(call)

    def _tick(self) -> None:
        """Look at the time, end what is silent, and wait."""
        call = self._call
        if call and time.monotonic() - self._heard_at > SILENCE_SECONDS:
            end(call)
        self._follower.keep()
        self._notify()
        self._closing.wait(TICK_SECONDS)

    def _follower_failed(self) -> None:
        contain(self._observer.thread_failed, self._follower.name)

    def _clock_failed(self) -> None:
        self._notify()  # Those who listen would hear nothing otherwise for as long as it fails.
        contain(self._observer.thread_failed, self._clock.name)

    def _notify(self) -> None:
        for listener in self._listeners:
            contain(listener)


def _is_silence(error: Exception) -> bool:
    """Tell whether something has ended because nothing was heard."""
    return isinstance(error, Unheard) or (isinstance(error, grpc.RpcError) and error.code() in _SILENCES)


def _why(error: Exception) -> str:
    if isinstance(error, grpc.RpcError):
        if error.code() is grpc.StatusCode.CANCELLED:  # By the clock, of which grpc knows only that it was done here.
            return f"{error.code()}: nothing was heard for {SILENCE_SECONDS:g} s"
        return f"{error.code()}: {error.details()}"
    return f"{type(error).__name__}: {error}"
