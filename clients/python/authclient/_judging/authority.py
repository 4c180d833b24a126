"""Who says what tokens are worth: what a guard asks of it, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from authclient._judging.judge import Judge
from authclient._judging.observer import Observer
from authclient._judging.verified import Ask, Verified
from authclient._waiting.readiness import Readiness


@dataclass(frozen=True, slots=True)
class Following:
    """How the view of an authority comes, and who is told that it has changed.

    Args:
        ready: whether there was a complete view once; to be waited for.
        patience: seconds that calls may wait for the first view, counted from the first that does.
        listen: takes a listener, to be called after each change of the view and now and then. It must not wait.
        unwatched_seconds: for how long listeners were not called now and then, as they have to be; 0 while they are.
    """

    ready: Readiness
    patience: float
    listen: Callable[[Callable[[], None]], None]
    unwatched_seconds: Callable[[], float] = lambda: 0.0


class Authority(Protocol):
    """Says what tokens are worth, to threads. Trust is one."""

    judge: Judge
    observer: Observer

    @property
    def following(self) -> Following | None:
        """How the view comes; None if there is none to wait for, because each token is asked about."""

    def ask(self, question: Ask, timeout: float) -> Verified:
        """Return whose token it is, after `timeout` seconds at most. Raises Refused."""


class AsyncAuthority(Authority, Protocol):
    """Says so to event loops too."""

    async def ask_async(self, question: Ask, timeout: float) -> Verified:
        """As `ask`, for asyncio."""
