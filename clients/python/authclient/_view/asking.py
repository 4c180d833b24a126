"""Asking the authentication service about one token, where what is known here does not settle it."""

from typing import Any

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authclient._judging.guard import ASK_SECONDS
from authclient._judging.verified import Ask, Verified
from authclient._waiting.wakeup import Wakeup
from authclient._wire.refusals import Refused, is_about_token, reason_of


class Asking:
    """Calls AuthService.Verify, for threads and for event loops."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._verify = rpc.AuthServiceStub(channel).Verify

    def ask(self, question: Ask, timeout: float) -> Verified:
        """Return whose token it is, after `timeout` seconds at most. Raises Refused."""
        try:
            answer = self._verify(_request(question), timeout=min(timeout, ASK_SECONDS))
        except grpc.RpcError as error:
            raise _refusal(error) from None
        return _settled(question, answer)

    async def ask_async(self, question: Ask, timeout: float) -> Verified:
        """As `ask`, for asyncio. The channel is no asyncio one, so that one connection serves both."""
        done = Wakeup()
        call = self._verify.future(_request(question), timeout=min(timeout, ASK_SECONDS))
        call.add_done_callback(done)
        try:
            await done.wait()
        finally:
            call.cancel()  # Does nothing to a call that is done.
        if call.code() is not grpc.StatusCode.OK:
            raise _refusal(call)
        return _settled(question, call.result())


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
