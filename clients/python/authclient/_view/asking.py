"""Asking the authentication service about one token, where what is known here does not settle it."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authclient._judging.guard import ASK_SECONDS
from authclient._judging.verified import Ask, Verified
from authclient._waiting.wakeup import Wakeup
from authclient._wire.connection import Connection
from authclient._wire.details import reason_of
from authclient._wire.refusals import CLOSED, Refused, is_about_token, is_lost


class Asking:
    """Calls AuthService.Verify, for threads and for event loops.

    A question that meets the end of its connection is asked once more: servers replace connections now and then, and
    what is sent in that moment is not answered.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known = _Known(connection.channel)

    def ask(self, question: Ask, timeout: float) -> Verified:
        """Return whose token it is, after `timeout` seconds at most. Raises Refused."""
        until = _until(timeout)
        try:
            try:
                answer = self._verify(_request(question), timeout=_left(until))
            except grpc.RpcError as error:
                if not _is_unanswered(error):
                    raise
                with _unless_closed(error):
                    answer = self._verify(_request(question), timeout=_left(until))
        except grpc.RpcError as error:
            raise _refusal(error) from None
        return _settled(question, answer)

    async def ask_async(self, question: Ask, timeout: float) -> Verified:
        """As `ask`, for asyncio. The channel is no asyncio one, so that one connection serves both."""
        until = _until(timeout)
        call = await self._done(question, until)
        if _is_unanswered(call):
            with _unless_closed(call):
                call = await self._done(question, until)
        if call.code() is not grpc.StatusCode.OK:
            raise _refusal(call)
        return _settled(question, call.result())

    async def _done(self, question: Ask, until: float) -> Any:
        """Return a call of Verify that is over."""
        done = Wakeup()
        call = self._verify.future(_request(question), timeout=_left(until))
        call.add_done_callback(done)
        try:
            await done.wait()
        finally:
            call.cancel()  # Does nothing to a call that is done.
        return call

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


def _until(timeout: float) -> float:
    return time.monotonic() + min(timeout, ASK_SECONDS)


def _left(until: float) -> float:
    return until - time.monotonic()


@contextlib.contextmanager
def _unless_closed(lost: Any) -> Iterator[None]:
    """Let what was lost be the answer where nothing more can be asked."""
    try:
        yield
    except CLOSED:
        raise _refusal(lost) from None


def _is_unanswered(call: Any) -> bool:
    """Tell whether a call has ended without the service having said so."""
    return is_lost(call) and reason_of(call.trailing_metadata()) is None


def _request(question: Ask) -> api.VerifyRequest:
    return api.VerifyRequest(access_token=question.token)


def _settled(question: Ask, answer: api.VerifyResponse) -> Verified:
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
