"""Reaching a server that may be behind any of several channels: each is tried at once, and the first answer counts."""

import queue
import time
from collections.abc import Iterable
from typing import Any

import grpc
from authapi.v1 import trust_service_pb2 as api
from authapi.v1 import trust_service_pb2_grpc as rpc

_NOT_THERE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
"""What a call ends with where nobody has answered. With whatever else it ends, somebody is there."""


GRACE_SECONDS = 1.0
"""How long after its own time a call may end. grpc ends none on a channel whose thread it could not start."""


class Unheard(Exception):
    """Calls on these channels have not ended, neither by an answer nor by their time."""

    def __init__(self, channels: Iterable[grpc.Channel]) -> None:
        super().__init__("nothing was heard, not even the end of the time")
        self.channels = frozenset(channels)


class Attempt:
    """Calls of GetSigningKeys, one on each channel.

    By calls, because asking grpc for the state of a channel leaves a thread behind that complains when it is closed.

    Args:
        wait_for_ready: wait for connections that do not come about at once. A call that waits for one is never told why
            there is none; one that does not is told at once.
        timeout: seconds.
    """

    def __init__(self, channels: Iterable[grpc.Channel], *, wait_for_ready: bool, timeout: float) -> None:
        self._until = time.monotonic() + timeout + GRACE_SECONDS
        self._ended: queue.SimpleQueue[tuple[grpc.Channel, Any]] = queue.SimpleQueue()
        options = {"wait_for_ready": wait_for_ready, "timeout": timeout}
        self._calls = {each: self._begin(each, options) for each in channels}

    def _begin(self, channel: grpc.Channel, options: dict[str, Any]) -> Any:
        call = rpc.TrustServiceStub(channel).GetSigningKeys.future(api.GetSigningKeysRequest(), **options)
        call.add_done_callback(lambda done: self._ended.put((channel, done)))
        return call

    def winner(self) -> grpc.Channel:
        """Return the channel over which the first answer came. Raises grpc.RpcError if there is none, or Unheard."""
        pending = set(self._calls)
        while pending:
            try:
                channel, call = self._ended.get(timeout=max(0.0, self._until - time.monotonic()))
            except queue.Empty:
                raise Unheard(pending) from None
            if call.code() not in _NOT_THERE:
                return channel
            pending.remove(channel)
        raise call

    def cancel(self) -> None:
        """End every call that is not done."""
        for call in self._calls.values():
            call.cancel()
