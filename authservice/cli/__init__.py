"""The `authservice` command. The verbs of an area in one module; each reads its arguments, calls, prints.

Exit codes: 0 done; 1 the command was understood and could not be carried out; 2 wrong arguments; 3 settings missing or
unusable; 4 the database does not answer.
"""

import os
import sys

from authservice.serving import NOTE

__all__ = ["main"]

_OURS = ("authservice", "authclient", "authapi")


def main() -> None:
    """Run the command and exit."""
    # grpc writes notes of its own, such as one on a caller that hangs up in an odd way, between lines of JSON. Only its
    # errors are wanted. It reads this when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if NOTE in os.environ:
        # Here, and nothing else, because this process is to stay small.
        from authservice.serving.succession import take_over  # noqa: PLC0415

        sys.exit(take_over())
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
