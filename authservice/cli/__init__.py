"""The `authservice` command. The verbs of an area in one module; each reads its arguments, calls, prints.

Exit codes: 0 done; 1 the command was understood and could not be carried out; 2 wrong arguments; 3 settings missing or
unusable; 4 the database does not answer; 130 interrupted.
"""

import gc
import os
import signal
import sys

from authservice.cli import surroundings
from authservice.serving import NOTE

__all__ = ["INTERRUPTED", "main"]

INTERRUPTED, TERMINATED = 130, 143
"""128 and the number of SIGINT and SIGTERM, as shells have it."""
_OURS = ("authservice", "authclient", "authapi")


def main() -> None:
    """Run the command and exit."""
    surroundings.complete()
    if sys.version_info < (3, 11):  # noqa: UP036  # Clients are installed beside Python 3.10, and this command with them.
        print(f"The server needs Python 3.11 or newer, and this is {sys.version.split()[0]}.", file=sys.stderr)
        sys.exit(3)
    # grpc writes notes of its own, such as one on a caller that hangs up in an odd way, between lines of JSON. Only its
    # errors are wanted. It reads this when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if NOTE in os.environ:
        # Here, and nothing else, because this process is to stay small.
        from authservice.serving.succession import take_over  # noqa: PLC0415

        sys.exit(take_over())
    # What is imported stays: going through it again and again took a tenth of a start. Workers switch it on again.
    gc.disable()
    if os.getpid() == 1:  # As in a container. The kernel keeps from the first process what it has no handler for.
        signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # Otherwise somebody wants it ignored.
        signal.signal(signal.SIGINT, _end)
    try:
        # Here, because services that only check tokens install none of what it needs.
        from authservice.cli.root import main as run  # noqa: PLC0415

        run()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(_OURS):
            raise
        install = "pip install '/path/to/authservice[server]'"
        print(f"The server is not installed. Install it with the `server` extra: {install}", file=sys.stderr)
        sys.exit(3)


def _end(_signum: int, _frame: object) -> None:
    # An exception would be lost where it met a callback, and a command that was told to stop would go on. Whatever is
    # open is as after a crash: the database undoes it.
    os.write(2, b"Interrupted.\n")
    os._exit(INTERRUPTED)


def _terminate(_signum: int, _frame: object) -> None:
    os._exit(TERMINATED)
