"""Collaborators in the hands of a test: an observer, a clock, and what fails."""

from typing import Any, NoReturn

from authclient import Observer

CANARY = "canary-of-an-inner-failure"


class Heard(Observer):
    """Keeps everything that an observer is told."""

    def __init__(self) -> None:
        self.connections = 0
        self.losses: list[str] = []
        self.bad_key_sets: list[str] = []
        self.judgements: list[tuple[str, bool]] = []
        self.refusals: list[tuple[str, str, bool]] = []
        self.failed_threads: list[str] = []

    def judged(self, method: str, *, asked: bool) -> None:
        self.judgements.append((method, asked))

    def refused(self, method: str, reason: str, *, enforced: bool) -> None:
        self.refusals.append((method, reason, enforced))

    def connected(self) -> None:
        self.connections += 1

    def disconnected(self, why: str) -> None:
        self.losses.append(why)

    def key_set_refused(self, why: str) -> None:
        self.bad_key_sets.append(why)

    def thread_failed(self, name: str) -> None:
        self.failed_threads.append(name)


class Hands:
    """A clock that stands where it is put."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def unreachable(*_: Any, **__: Any) -> NoReturn:
    """Stand for a collaborator that fails."""
    raise RuntimeError(CANARY)
