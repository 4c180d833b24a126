"""Renewing an open stream: when to present a fresh token for it. The same for threads and for asyncio."""

import logging
import random
import time
from typing import Any, Protocol

import grpc

from authclient._calling.held_tokens import may_repeat
from authclient._wire.details import reason_of

log = logging.getLogger("authclient")

THREAD = "authclient-renewals"
"""What renews streams is called so, where it is a task of asyncio too."""
RENEWAL_SECONDS = 1.0
"""Between two looks at whether open streams need a fresher token. A refreshed one is good for minutes."""
FIRST_MISS_PAUSE, MISS_GROWTH = 0.05, 1.25
MOST_MISSES = 40
"""Where calls are spread over several processes, a renewal may reach one that does not serve the stream. So it is tried
again after pauses that begin with 50 ms and grow by a quarter: eight times in the first second, thirty times in the two
minutes that a token of a quarter of an hour has left when it is replaced. After forty there is no use in it."""


class Counter(Protocol):
    """What hears of renewals that have failed. `authclient.Observer` and `authclient.prometheus.Metrics` do."""

    def thread_failed(self, name: str) -> None: ...


def tell_failure(counter: Counter | None) -> None:
    """Log the error that a round of renewals is ended by, and count it. Never raises."""
    log.exception("the renewal of streams has failed; it is tried again")
    try:
        if counter:
            counter.thread_failed(THREAD)
    except Exception:
        log.exception("that the renewal of streams has failed could not be counted")


class Renewal:
    """An open stream that lives on with fresh tokens.

    Attributes:
        name: what the caller calls the stream.
        pause: seconds until it is worth another look.
    """

    def __init__(self, name: str, token: str) -> None:
        self.name = name
        self.pause = RENEWAL_SECONDS
        self._due_at = 0.0
        self._settled = token
        self._misses = 0

    def is_due(self, token: str) -> bool:
        """Tell whether a token is to be presented now."""
        return token != self._settled and time.monotonic() >= self._due_at

    def settle(self, token: str, error: Any) -> None:
        """Note what came of presenting a token: the error of the call, or None."""
        self.pause = RENEWAL_SECONDS
        if error is not None and reason_of(error.trailing_metadata()) == "STREAM_UNKNOWN":
            self._misses += 1
            self.pause = FIRST_MISS_PAUSE * MISS_GROWTH**self._misses
            self.pause *= random.uniform(0.5, 1)  # noqa: S311  # several streams are not to go round in step
        is_over = error is None or not _is_passing(error)
        if is_over or self._misses > MOST_MISSES:
            self._settled, self._misses, self.pause = token, 0, RENEWAL_SECONDS
        self._due_at = time.monotonic() + self.pause


def _is_passing(error: Any) -> bool:
    """Tell whether the same renewal may succeed when it is sent again."""
    is_refused_for_now = may_repeat(error) or error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return is_refused_for_now or reason_of(error.trailing_metadata()) == "STREAM_UNKNOWN"
