"""One login, kept alive: what a session does, told once for threads and for asyncio. See `_waiting.steps`."""

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from authapi.v1.second_factor_pb2 import Challenge

from authclient._calling.challenges import proof
from authclient._calling.held_tokens import (
    ATTEMPTS,
    CALL_SECONDS,
    LOGIN_SECONDS,
    REFRESH_SECONDS,
    SILENCE_SECONDS,
    SILENCES,
    HeldTokens,
    Holding,
    LoginNeeded,
    is_silence,
    login_needed,
    lost,
    may_repeat,
    pause,
    refuses_token,
)
from authclient._calling.line import Line
from authclient._wire.metadata import bearer
from authclient._wire.refusals import CLOSED


class Send(NamedTuple):
    """The step of making a call. It comes to the answer, or to grpc.RpcError."""

    begin: Callable[[], Any]


class Pause(NamedTuple):
    """The step of waiting for so many seconds."""

    seconds: float


class AwaitRefresh(NamedTuple):
    """The step of waiting for what `begin` of Keeping has begun, for so many seconds at most.

    It comes to the tokens, to what it raises, or to the TimeoutError of threads or of asyncio.
    """

    refresh: Any
    seconds: float


Result = TypeVar("Result")
Steps: TypeAlias = Generator[Send | Pause | AwaitRefresh, Any, Result]
Call: TypeAlias = Callable[[Any, float], Any]
"""Begins a call of the AuthService, of which it is given a stub of either kind, that may take so many seconds."""


class Keeping:
    """Keeps one login alive, refreshing when a token is needed and the one at hand is getting old. For many threads.

    Args:
        line: the way to the AuthService, by channels of either kind.
        monotonic: the clock that tokens age by.
        begin: begins a refresh in the background, so that it goes on if those who wait for it do not. Returns what
            tells by `done()` whether it is over. Raises RuntimeError where no thread can be had for it.
        holding: what one before it, that is of no use any more, has held.
    """

    def __init__(
        self,
        line: Line[Any],
        monotonic: Callable[[], float],
        begin: Callable[[Steps[HeldTokens]], Any],
        holding: Holding | None = None,
    ) -> None:
        self._line = line
        self._monotonic = monotonic
        self._begin = begin
        self._lock = threading.Lock()
        self._holding = holding or Holding()
        self._under_way: _Refresh | None = None

    @property
    def refresh(self) -> Any:
        """The refresh that is under way, or None."""
        under_way = self._under_way
        return under_way and under_way.refresh

    def login(self, user_name_or_email: str, password: str, client_label: str) -> Steps[Challenge | None]:
        """Open a session, or return what is asked for beside the password. Raises grpc.RpcError."""
        request = api.LoginRequest(user_name_or_email=user_name_or_email, password=password, client_label=client_label)
        asked_at = self._monotonic()
        answer = yield from self._once(lambda auth, seconds: auth.Login(request, timeout=seconds), LOGIN_SECONDS)
        if answer.HasField("challenge"):
            return cast(Challenge, answer.challenge)
        self._holding.put(HeldTokens.received(answer.tokens, answer.server_time, asked_at))
        return None

    def complete_login(self, challenge: Challenge, code: str) -> Steps[tuple[str, ...]]:
        """Open the session of a challenge. Returns recovery codes, if there are any. Raises grpc.RpcError."""
        request = api.CompleteLoginRequest(challenge_token=challenge.challenge_token, code=code)
        asked_at = self._monotonic()
        answer = yield from self._once(lambda auth, seconds: auth.CompleteLogin(request, timeout=seconds), CALL_SECONDS)
        self._holding.put(HeldTokens.received(answer.tokens, answer.server_time, asked_at))
        return tuple(answer.recovery_codes)

    def step_up(self, password: str | None, code: str | None) -> Steps[None]:
        """Have the user prove once more who they are. Raises ValueError, LoginNeeded, grpc.RpcError."""
        request = proof(password, code)
        token = yield from self.access_token()
        try:
            yield from self._stepping_up(request, token)
        except grpc.RpcError as error:
            if not refuses_token(error.code(), error.trailing_metadata()):
                raise
            # Refused before anybody looked at the proof, so that it is still good.
            yield from self._stepping_up(request, (yield from self.replacement(token)))

    def _stepping_up(self, request: api.StepUpRequest, token: str) -> Steps[None]:
        held, asked_at, metadata = self._holding.require(), self._monotonic(), (bearer(token),)
        answer = yield from self._once(
            lambda auth, seconds: auth.StepUp(request, metadata=metadata, timeout=seconds), LOGIN_SECONDS
        )
        stepped = api.SessionTokens(
            session_id=held.session_id,
            access_token=answer.access_token,
            access_token_expire_time=answer.access_token_expire_time,
            refresh_token=held.refresh_token,
        )
        self._holding.step_up(HeldTokens.received(stepped, answer.server_time, asked_at))

    def logout(self, scope: api.LogoutScope.ValueType) -> Steps[int]:
        """End the session, and others of the user as the scope says. Returns how many ended. Raises grpc.RpcError."""
        held = self._holding.take()
        if held is None:
            return 0
        request = api.LogoutRequest(scope=scope, refresh_token=held.refresh_token)
        metadata = (bearer(held.access_token),)
        answer = yield from self._patiently(
            lambda auth, seconds: auth.Logout(request, metadata=metadata, timeout=seconds)
        )
        return int(answer.ended_sessions)

    def access_token(self) -> Steps[str]:
        """Return a token that is good for a while. Raises LoginNeeded, or grpc.RpcError if the service is away."""
        held = self._holding.require()
        now = self._monotonic()
        if now < held.refresh_at:
            return held.access_token
        if now < held.usable_until:
            with contextlib.suppress(RuntimeError):  # The next call tries again.
                self._successor(held)
            return held.access_token
        tokens = yield from self._awaited(held)
        return tokens.access_token

    def replacement(self, refused: str) -> Steps[str]:
        """Return another token of the same session than the refused one. Raises as `access_token`, and ValueError."""
        held = self._holding.require()
        tokens = (yield from self._awaited(held)) if held.access_token == refused else held
        return self._holding.replacement(refused, tokens)

    def _awaited(self, seen: HeldTokens) -> Steps[HeldTokens]:
        """Return the tokens that replace what was seen. Raises as `access_token`."""
        try:
            successor = self._successor(seen)
        except RuntimeError:  # No thread can be had, so it is done in this one. To repeat a refresh is harmless.
            return (yield from self._refreshing(seen))
        if isinstance(successor, HeldTokens):
            return successor
        try:
            tokens: HeldTokens = yield AwaitRefresh(successor.refresh, successor.until - time.monotonic())
        except (
            asyncio.TimeoutError,
            concurrent.futures.TimeoutError,
        ):  # Two, and not the built-in one, in Python 3.10.
            raise lost() from None
        return tokens

    def _successor(self, seen: HeldTokens) -> "HeldTokens | _Refresh":
        """Return the tokens that replace what was seen: those that are there, or under way for all who need them.

        Raises RuntimeError where no thread can be had.
        """
        with self._lock:
            held = self._holding.require()
            if not held.is_same(seen):
                return held
            under_way = self._under_way
            if under_way and under_way.is_lost():
                # Its call may hang past its deadline, as on a channel for which grpc could start no thread.
                with self._line.use() as channel:
                    self._line.replace(channel)
                under_way = None
            if under_way is None or not held.is_same(under_way.seen):
                refresh = self._begin(self._refreshing(held))
                under_way = self._under_way = _Refresh(held, refresh, time.monotonic() + REFRESH_SECONDS)
            return under_way

    def _refreshing(self, seen: HeldTokens) -> Steps[HeldTokens]:
        """Replace tokens by their successors. Returns what is held then, which may be of a later login."""
        asked_at = self._monotonic()
        request = api.RefreshRequest(refresh_token=seen.refresh_token)
        successor: HeldTokens | LoginNeeded = seen
        try:
            answer = yield from self._patiently(lambda auth, seconds: auth.Refresh(request, timeout=seconds))
            successor = HeldTokens.received(answer.tokens, answer.server_time, asked_at)
        except grpc.RpcError as error:
            successor = login_needed(error) or seen.refreshed_later(self._monotonic())
            if isinstance(successor, LoginNeeded):
                raise successor from None
            raise
        finally:
            self._settle(seen, successor)
        return self._holding.require()

    def _settle(self, seen: HeldTokens, successor: HeldTokens | LoginNeeded) -> None:
        self._holding.settle(seen, successor)
        with self._lock:
            if self._under_way and seen.is_same(self._under_way.seen):
                self._under_way = None

    def _patiently(self, call: Call) -> Steps[Any]:
        """Return the answer of a call that bears repetition. Raises grpc.RpcError."""
        silences, unanswered = 0, None
        for attempt in range(ATTEMPTS - 1):
            with self._line.use() as channel:
                seconds = SILENCE_SECONDS if silences < SILENCES else CALL_SECONDS
                try:
                    return (yield _sending(call, channel, seconds))
                except grpc.RpcError as error:
                    if not may_repeat(error):
                        raise
                    unanswered = error
                    silences += is_silence(error)
                    if silences == SILENCES:
                        self._line.replace(channel)
                except CLOSED as closed:  # In the pause: what was not answered is the answer.
                    raise (unanswered or closed) from None
            yield Pause(pause(attempt))
        try:
            return (yield from self._once(call, CALL_SECONDS))
        except CLOSED as closed:
            raise (unanswered or closed) from None

    def _once(self, call: Call, seconds: float) -> Steps[Any]:
        """Return the answer of a call. Raises grpc.RpcError; where none came, the next goes over another connection."""
        with self._line.use() as channel:
            try:
                return (yield _sending(call, channel, seconds))
            except grpc.RpcError as error:
                if is_silence(error):
                    self._line.replace(channel)
                raise


class _Refresh(NamedTuple):
    seen: HeldTokens
    refresh: Any
    until: float

    def is_lost(self) -> bool:
        """Tell whether it will settle nothing any more. One that is over has, or it was ended before it began."""
        return bool(self.refresh.done()) or time.monotonic() > self.until


def _sending(call: Call, channel: Any, seconds: float) -> Send:
    return Send(lambda: call(rpc.AuthServiceStub(channel), seconds))
