"""The thread of the chores: it ends when it is told to, whatever it is about to do."""

import threading

from authservice.serving.housekeeping import Chore, Housekeeping

PATIENCE = 20.0


class StopsBeforeItClears(threading.Event):
    """The waking of a thread, met by a stop just before it is cleared: the moment at which the word could be lost."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__()
        self._stop = stop

    def clear(self) -> None:
        if self.is_set():
            self._stop.set()
            self.set()
        super().clear()


def test_a_stop_between_two_rounds_is_not_lost() -> None:
    done = threading.Event()
    keeping = Housekeeping([Chore("rare", 3600.0, done.set)])
    keeping._waking = StopsBeforeItClears(keeping._stopping)
    keeping.start()
    assert done.wait(PATIENCE)
    keeping._waking.set()  # A second round, for which there is nothing to do.
    keeping._thread.join(PATIENCE)
    assert not keeping._thread.is_alive()
