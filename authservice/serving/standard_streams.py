"""Standard output and error of a process that serves. See outlet.py.

Little is imported here, because the parent of the workers stays small.
"""

import os

from authservice.serving.outlet import DRAIN_SECONDS, Outlet

_OUT, _ERROR = 1, 2
_outlets: dict[int, Outlet] = {}
_log_descriptor = _ERROR


def say(text: str) -> None:
    """Print for people."""
    _outlet(_OUT).write(text + "\n")


def log_to_standard_error(level: str, form: str) -> None:
    """Have log lines of this process leave by standard error from now on. See logs.configure."""
    # Here, because it takes 13 MiB and a tenth of a second.
    from authservice import logs  # noqa: PLC0415

    logs.configure(level, form, _outlet(_ERROR))


def divert_errors(pipe: int) -> None:
    """Have what others write to standard error in this process go into a pipe, and the log where it went before."""
    global _log_descriptor  # noqa: PLW0603 - as there is one standard error
    _log_descriptor = os.dup(_ERROR)
    os.dup2(pipe, _ERROR)


def drain() -> None:
    """Give what this process has to say a moment to leave."""
    for outlet in _outlets.values():
        if outlet.owner == os.getpid():
            outlet.drain(DRAIN_SECONDS)


def _outlet(number: int) -> Outlet:
    outlet = _outlets.get(number)
    if outlet is None or outlet.owner != os.getpid():  # That of the parent has no thread here.
        outlet = _outlets[number] = Outlet(_log_descriptor if number == _ERROR else number, _missed)
    return outlet


def _missed(count: int) -> str:
    from authservice import logs  # noqa: PLC0415

    return logs.line("log_lines_dropped", count=count, pid=os.getpid())
