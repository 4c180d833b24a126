"""The tokens that a caller holds, and when to replace them: the same for threads and for asyncio.

Times are counted from the answers of the server by a local clock that only goes forward, and goes on while the machine
sleeps: so a wrong clock here does no harm, and a token that ended meanwhile is not taken for a good one.
"""

import random
import threading
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
from authapi.v1 import auth_service_pb2 as api
from google.protobuf.timestamp_pb2 import Timestamp

from authclient._wire.details import reason_of
from authclient._wire.refusals import is_about_token, is_lost
from authclient._wire.times import seconds

REFRESH_FROM, REFRESH_UNTIL = 0.6, 0.85
"""Parts of a token's life between which it is replaced, at a random point, so that callers do not refresh together."""
SPARE_SECONDS = 5.0
"""A token with less than this left is not used; less of one that lives for less than half a minute."""
RETRY_SECONDS = 2.0
"""After a failed refresh, for as long as the token at hand is good."""
NO_SESSION = "There is no session. Call login first."
BEFORE_FORK = (
    "This session was made before a fork, in process {pid}. Its refresh token is for that process alone: two processes "
    "that use it would end the session. Call login in this process, and make channels anew."
)
CHANNEL_BEFORE_FORK = (
    "This session was given a channel before a fork, in process {pid}. Make channel and session anew in this process."
)
AIO_BEFORE_FORK = (
    "This session was used before a fork, in process {pid}. Its refresh token is for that process alone, and what grpc "
    "has for asyncio does not outlive a fork. Fork first, and use sessions in the children only."
)
OTHER_LOOP = "This session is in use in another event loop, which is still open. Make one for each loop."
CALL_SECONDS = 10.0
LOGIN_SECONDS = 20.0
"""As long as a connection may take to come about. A login is sent once."""
ATTEMPTS = 4
"""How often Refresh and Logout are sent before the service counts as away. Repeating them is harmless."""
SILENCE_SECONDS = 3.0
"""How long each of the first attempts waits, until it is clear that the connection is no dead one."""
SILENCES = 2
"""After so many attempts without an answer the connection counts as dead, and the next goes over another one."""
FIRST_PAUSE = 0.1
REMEMBERED_TOKENS = 64
"""Of how many tokens a session knows that they were its own. Calls in flight carry one of the last two."""
REFRESH_SECONDS = 30.0
"""A refresh that has not come to an end by then is lost: all its attempts together take less."""
LOST = "The refresh has not come to an end. Try again: that begins another one."


class LoginNeeded(Exception):
    """There is no session, or it is over. Log in again. `reason` is the authapi.v1.ErrorReason, if there is one."""

    def __init__(self, text: str, reason: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason


NO_TOKEN = (LoginNeeded, grpc.RpcError, ValueError, grpc.aio.UsageError)
"""Why there is none: the session is over, the authentication service is away, or the connection to it is closed."""


@dataclass(frozen=True, slots=True)
class HeldTokens:
    """The tokens of a session. `refresh_at` and `usable_until` are readings of the local monotonic clock."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    session_id: str
    refresh_at: float
    usable_until: float

    @classmethod
    def received(cls, tokens: api.SessionTokens, server_time: Timestamp, asked_at: float) -> "HeldTokens":
        """Return the tokens of an answer to a question that was asked at `asked_at`."""
        life = seconds(tokens.access_token_expire_time) - seconds(server_time)
        refresh_after = life * random.uniform(REFRESH_FROM, REFRESH_UNTIL)  # noqa: S311  # spreads, hides nothing
        usable = life - min(SPARE_SECONDS, life * (1 - REFRESH_UNTIL))
        return cls(
            tokens.access_token, tokens.refresh_token, tokens.session_id, asked_at + refresh_after, asked_at + usable
        )

    def refreshed_later(self, now: float) -> "HeldTokens":
        """Return the same tokens after an attempt to replace them has failed."""
        return replace(self, refresh_at=min(now + RETRY_SECONDS, self.usable_until))

    def with_access_token_of(self, other: "HeldTokens") -> "HeldTokens":
        """Return the same tokens with the access token of others of this session."""
        return replace(
            self, access_token=other.access_token, refresh_at=other.refresh_at, usable_until=other.usable_until
        )

    def is_same(self, other: "HeldTokens | None") -> bool:
        """Tell whether the other tokens are these."""
        return other is not None and other.access_token == self.access_token


class Holding:
    """Which tokens a session holds, if any. For many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: HeldTokens | None = None
        self._over = LoginNeeded(NO_SESSION)
        self._session_ids: dict[str, str] = {}

    def require(self) -> HeldTokens:
        """Return what is held. Raises LoginNeeded."""
        held, over = self._held, self._over
        if held is None:
            raise LoginNeeded(str(over), over.reason)
        return held

    def put(self, tokens: HeldTokens) -> None:
        """Hold the tokens of a new session."""
        with self._lock:
            self._hold(tokens)

    def take(self) -> HeldTokens | None:
        """Return what is held, and hold nothing from now on."""
        with self._lock:
            held, self._held, self._over = self._held, None, LoginNeeded(NO_SESSION)
        return held

    def settle(self, seen: HeldTokens, successor: "HeldTokens | LoginNeeded") -> None:
        """Put what a refresh has brought in the place of what it replaces; nothing, if somebody was there before.

        Of a session that was stepped up meanwhile the access token stays: that of the refresh may not say so.
        """
        with self._lock:
            held = self._held
            if held is None or held.refresh_token != seen.refresh_token:
                return
            if isinstance(successor, LoginNeeded):
                self._held, self._over = None, successor
            else:
                self._hold(successor if seen.is_same(held) else successor.with_access_token_of(held))

    def step_up(self, stepped: HeldTokens) -> None:
        """Put the access token of a step-up in the place of what its session has; nothing, if another one is held."""
        with self._lock:
            if self._held and self._held.session_id == stepped.session_id:
                self._hold(self._held.with_access_token_of(stepped))

    def replacement(self, refused: str, tokens: HeldTokens) -> str:
        """Return the access token of `tokens`. Raises ValueError if it is not of the session of the refused one.

        Somebody else may have logged in since a call began, and a call is made by whoever began it.
        """
        with self._lock:
            session_id = self._session_ids.get(refused)
        if session_id != tokens.session_id:
            raise ValueError("The refused token is not of the session that is held now.")
        return tokens.access_token

    def _hold(self, tokens: HeldTokens) -> None:
        self._held = tokens
        self._session_ids[tokens.access_token] = tokens.session_id
        if len(self._session_ids) > REMEMBERED_TOKENS:
            del self._session_ids[next(iter(self._session_ids))]


def login_needed(error: Any) -> LoginNeeded | None:
    """Return what a refused Refresh means, or None if the session may still be alive.

    Without a reason it was refused by something on the way. And what a clock makes too early will be good later.
    """
    reason = reason_of(error.trailing_metadata()) if error.code() is grpc.StatusCode.UNAUTHENTICATED else None
    if reason not in (None, "TOKEN_NOT_YET_VALID"):
        return LoginNeeded(f"The session is over ({reason}). Log in again.", reason)
    return None


def refuses_token(code: grpc.StatusCode, trailing_metadata: Any) -> bool:
    """Tell whether a call ended because its token is not accepted, so that another token may help.

    A handler may answer UNAUTHENTICATED for reasons of its own; it has run then, and is not to run again. Where a token
    was sent and none arrived, another one will not either.
    """
    reason = reason_of(trailing_metadata) if code is grpc.StatusCode.UNAUTHENTICATED else None
    return reason is not None and reason != "TOKEN_MISSING" and is_about_token(reason)


def may_repeat(error: Any) -> bool:
    """Tell whether a call may succeed when it is sent again."""
    return is_lost(error) or error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED)


def lost() -> grpc.RpcError:
    """Return what those are told who have waited for a refresh that was lost."""
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, nothing, nothing, LOST)


def is_silence(error: Any) -> bool:
    """Tell whether no answer came in time."""
    return bool(error.code() is grpc.StatusCode.DEADLINE_EXCEEDED)


def pause(attempt: int) -> float:
    """Return how many seconds to wait before the next attempt."""
    return float(FIRST_PAUSE * 2**attempt * random.uniform(0.5, 1))  # noqa: S311  # spreads, hides nothing
