"""Asking the authentication service about one token, where what is known here does not settle it."""

import asyncio
import time
from collections.abc import Generator
from typing import Any, NamedTuple, TypeAlias

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authclient._judging.guard import ASK_SECONDS
from authclient._judging.verified import Ask, Verified
from authclient._view.connection import Connection
from authclient._view.hearing import ANSWER_SECONDS, Hearing
from authclient._view.reaching import GRACE_SECONDS
from authclient._waiting.steps import in_task, in_thread
from authclient._waiting.wakeup import Wakeup
from authclient._wire.details import reason_of
from authclient._wire.refusals import CLOSED, Refused, is_about_token, is_lost


class Send(NamedTuple):
    """The step of calling Verify. It comes to the answer, or to grpc.RpcError."""

    question: Ask
    seconds: float


class Pause(NamedTuple):
    """The step of waiting for so many seconds."""

    seconds: float


Steps: TypeAlias = Generator[Send | Pause, Any, Verified]

REPEATS, REPEAT_PAUSE = 4, 0.1
"""How often a question that was not answered is asked again where the service was heard just now: at once, then after
so many seconds, twice as many each time. The next connection may lead to a server that has just gone, too."""


class Asking:
    """Calls AuthService.Verify, for threads and for event loops.

    A question that meets the end of its connection is asked again: servers replace connections now and then, and what
    is sent in that moment is not answered. So is one that waits for long while the service is heard.
    """

    def __init__(self, connection: Connection, hearing: Hearing) -> None:
        self._connection = connection
        self._hearing = hearing
        self._known = _Known(connection.channel)

    def ask(self, question: Ask, timeout: float) -> Verified:
        """Return whose token it is, after `timeout` seconds at most. Raises Refused."""
        return in_thread(self._steps(question, timeout), self._send)

    async def ask_async(self, question: Ask, timeout: float) -> Verified:
        """As `ask`, for asyncio. The channel is no asyncio one, so that one connection serves both."""
        return await in_task(self._steps(question, timeout), self._send_async)

    def _steps(self, question: Ask, timeout: float) -> Steps:
        asked_at = time.monotonic()
        until = asked_at + min(timeout, ASK_SECONDS)
        patience = self._hearing.patience()
        if not patience:
            raise Refused("VERIFICATION_UNAVAILABLE", "Verify is not asked, because it does not answer others")
        unanswered, was_late, repeats = None, False, 0
        while True:
            try:
                answer = yield Send(question, min(patience, until - time.monotonic()))
            except grpc.RpcError as error:
                if _is_unanswered(error) and repeats < self._most_repeats(asked_at):
                    unanswered, repeats = error, repeats + 1
                    if repeats > 1:
                        yield Pause(REPEAT_PAUSE * 2 ** (repeats - 2))
                elif _is_late(error) and not was_late and self._is_worth_waiting(asked_at, until):
                    was_late, patience = True, ASK_SECONDS
                else:
                    self._note(error)
                    raise _refusal(error) from None
            except CLOSED:
                if unanswered:  # Nothing more can be asked: what was lost is the answer.
                    raise _refusal(unanswered) from None
                if not self._connection.is_closed:
                    raise
                raise Refused("VERIFICATION_UNAVAILABLE", "the Trust is closed") from None
            else:
                self._hearing.answered()
                return _settled(question, answer)

    def _most_repeats(self, asked_at: float) -> int:
        return REPEATS if self._hearing.is_heard_since(asked_at - ANSWER_SECONDS) else 1

    def _is_worth_waiting(self, asked_at: float, until: float) -> bool:
        """Tell whether one that got no answer at first is asked once more, for as long as it may take."""
        return self._hearing.is_heard_since(asked_at) and not self._hearing.is_lost and until > time.monotonic()

    def _note(self, error: Any) -> None:
        """Note what the end of a question says about the service."""
        if _is_late(error):
            self._hearing.missed()
        elif reason_of(error.trailing_metadata()):
            self._hearing.answered()

    def _send(self, step: Send | Pause) -> Any:
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        return self._verify(_request(step.question), timeout=step.seconds)

    async def _send_async(self, step: Send | Pause) -> Any:
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        done = Wakeup()
        call = self._verify.future(_request(step.question), timeout=step.seconds)
        call.add_done_callback(done)
        try:
            await asyncio.wait_for(done.wait(), max(0.0, step.seconds) + GRACE_SECONDS)
        except asyncio.TimeoutError:  # Another one than the built-in one before Python 3.11.
            pass
        finally:
            call.cancel()  # Does nothing to a call that is done.
        if call.code() is not grpc.StatusCode.OK:
            raise call
        return call.result()

    @property
    def _verify(self) -> Any:
        """Verify, over the channel that is in use."""
        channel, known = self._connection.channel, self._known
        if known.channel is not channel:
            known = self._known = _Known(channel)
        return known.verify


class _Known:
    """A channel, and Verify over it, which is not made for each question."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.verify = rpc.AuthServiceStub(channel).Verify


def _is_late(error: Any) -> bool:
    """Tell whether a call has ended because its time was over."""
    return error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def _is_unanswered(call: Any) -> bool:
    """Tell whether a call met the end of its connection or of its server, which says so where it still can."""
    return is_lost(call) and reason_of(call.trailing_metadata()) in (None, "SHUTTING_DOWN")


def _request(question: Ask) -> api.VerifyRequest:
    return api.VerifyRequest(access_token=question.token)


def _settled(question: Ask, answer: api.VerifyResponse) -> Verified:
    if not answer.identity.user_id:
        raise Refused("VERIFICATION_UNAVAILABLE")
    return question.settle(answer.identity)


def _refusal(error: Any) -> Refused:
    """Return what an error of Verify means for the call that is judged."""
    reason = reason_of(error.trailing_metadata())
    if error.code() is grpc.StatusCode.UNAUTHENTICATED and reason and is_about_token(reason):
        return Refused(reason)
    return Refused("VERIFICATION_UNAVAILABLE", f"Verify answered {error.code()} ({reason or 'without a reason'})")
