"""What a command counts on, whatever it was started with: three open streams, and text that is UTF-8."""

import io
import os
import sys
from typing import Any, TextIO

_STREAMS = {0: "stdin", 1: "stdout", 2: "stderr"}


def complete() -> None:
    """Open what is closed, begin anew where text is ASCII, and let nothing fail because of standard error."""
    for number, name in _STREAMS.items():
        _open(number, name)
    if sys.getfilesystemencoding() == "ascii" and sys.executable:
        # As by LC_ALL=C and PYTHONUTF8=0: names of users and of folders could neither be read nor printed.
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - no shell is wanted
    # Unless somebody has taken it in hand, such as a test.
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        sys.stderr = _unfailing(2, sys.stderr.encoding)


def _open(number: int, name: str) -> None:
    try:
        os.fstat(number)
    except OSError:
        # Otherwise the next file has this number, such as the database, and what is printed is written there.
        opened = os.open(os.devnull, os.O_RDWR)  # The lowest number that is free.
        os.set_inheritable(opened, True)
        stream = open(opened, "r" if number == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _unfailing(number: int, encoding: str) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_Unfailing(number, "wb", closefd=False)),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


class _Unfailing(io.FileIO):
    """Standard error of a command, whose work is done whether or not anybody hears of it."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)
