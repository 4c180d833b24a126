"""Where a service's metrics come from."""

import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger("authclient")


class Observer:
    """Hears what the interceptor does. Override what you count; every method may be called by any thread.

    How old the view is, and how many signatures were checked rather than remembered, can be read at any time:
    `Trust.view_age()` and `Trust.signatures_checked`.
    """

    def judged(self, method: str, *, asked: bool) -> None:
        """A token was judged, by what is known here or by asking Verify."""

    def refused(self, method: str, reason: str, *, enforced: bool) -> None:
        """A call was refused; or would have been, where its rule only observes."""

    def connected(self) -> None:
        """The stream of revocations is open and complete."""

    def disconnected(self, why: str) -> None:
        """The stream of revocations was lost, or could not be opened. It is tried again."""

    def key_set_refused(self, why: str) -> None:
        """The authentication service sent keys that are not good. The last good ones stay in use."""

    def thread_failed(self, name: str) -> None:
        """A thread of the client was ended by an error, which the log has, and was begun anew."""


def contain(call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
    """Call something that is none of our business, and log what it raises."""
    try:
        call(*arguments, **named)
    except Exception:
        log.exception("%s failed", getattr(call, "__qualname__", call))
