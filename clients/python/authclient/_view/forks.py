"""Forks: threads do not outlive one, so a child hears nothing of what its parent follows. It is told so."""

import os
import weakref

from authclient._judging.observer import log


class Forks:
    """Whether something is in the process that it was made in. Each child warns of it at once; using it there raises.

    It is a warning and no more, because a child may guard nothing, as those of a pool of processes.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._pid = os.getpid()
        _made.add(self)

    def is_child(self) -> bool:
        """Tell whether this is a child of the process that it was made in."""
        return self._pid != os.getpid()

    def require_parent(self) -> None:
        """Raise RuntimeError in a child."""
        if self.is_child():
            raise RuntimeError(self._complaint())

    def forget(self) -> None:
        """Say nothing to children that are forked from now on."""
        _made.discard(self)

    def _complaint(self) -> str:
        return (
            f"this {self._what} was made before a fork, in process {self._pid}, and hears of no logout in process "
            f"{os.getpid()}. Make it after the fork, in each process that guards a server"
        )

    def tell(self) -> None:
        """Warn of it in a child."""
        log.warning("%s", self._complaint())


_made: "weakref.WeakSet[Forks]" = weakref.WeakSet()


def _tell_all() -> None:
    for forks in list(_made):
        forks.tell()
    _made.clear()


os.register_at_fork(after_in_child=_tell_all)
