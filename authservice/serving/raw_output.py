"""What libraries write to standard error themselves, past the log.

grpc's core writes there what a caller has said, as it was said: with a line break in it anybody could write lines that
look like the log's own, and as many as fit through a connection. So the standard error of a worker is a pipe to its
parent, which has the log say what comes out of it, in one line that escapes it, and not often. The parent does it, so
that the last words of a worker that has crashed are heard too.
"""

import contextlib
import os
import time
from dataclasses import dataclass

from authservice.serving.rare_log import RareLog
from authservice.serving.standard_streams import divert_errors

PERIOD = 10.0
"""Seconds between two lines at least. Meanwhile the pipe fills, and what does not fit into it is lost."""
MOST_CHARACTERS = 4096
"""Of which half are the first ones and half the last: a traceback ends with what is wrong."""
_PIPE_BYTES = 65536


@dataclass(slots=True)
class RawOutput:
    """That of all workers. Lives in the parent, from `open` on."""

    log: RareLog
    read: int = -1
    write: int = -1
    due_at: float = 0.0
    """When it may be told of again (monotonic seconds)."""

    def open(self) -> None:
        """Make the pipe."""
        self.read, self.write = os.pipe()
        # A worker that waited here could wait for ever: for a parent that waits for it.
        for end in (self.read, self.write):
            os.set_blocking(end, False)

    def divert(self) -> None:
        """Have what is written to standard error in this process, a worker, go into the pipe."""
        os.close(self.read)
        divert_errors(self.write)

    def tell(self) -> None:
        """Log what has come out of it, if anything has."""
        with contextlib.suppress(BlockingIOError):
            text = os.read(self.read, _PIPE_BYTES).decode(errors="backslashreplace")
            self.due_at = time.monotonic() + PERIOD
            left_out = max(0, len(text) - MOST_CHARACTERS)
            if left_out:
                text = f"{text[: MOST_CHARACTERS // 2]} ... {text[-MOST_CHARACTERS // 2 :]}"
            self.log.warning("raw_output", text=text, left_out=left_out)
