"""A clock of one process that can be set while it runs, by faketime."""

import sys
from datetime import timedelta
from pathlib import Path

_PLACES = ("*/faketime/libfaketimeMT.so.1", "faketime/libfaketimeMT.so.1")
LIBRARY = next((path for place in _PLACES for path in sorted(Path("/usr/lib").glob(place))), None)


class WrongClock:
    """The clock of processes that are started under `wrapper`. What counts the seconds since the start of the machine
    is as it was.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set(timedelta(0))
        self.wrapper = [
            *("env", f"LD_PRELOAD={LIBRARY}", f"FAKETIME_TIMESTAMP_FILE={self._file}"),
            *("FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"),
        ]

    def set(self, ahead: timedelta) -> None:
        """Set it as far ahead of the real one, or behind."""
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{ahead.total_seconds():+.0f}s")
        draft.rename(self._file)


def require_library() -> str | None:
    """Return why clocks cannot be set here, if they cannot."""
    return None if LIBRARY and sys.platform == "linux" else "no faketime on this machine to set a server's clock"
