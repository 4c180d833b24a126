"""A supervised program whose workers only wait: `python -m tests.faults.idle_workers COUNT`.

The supervisor is the real one. Without grpc and a database a round takes a tenth of a second, so that signals can be
sent at many moments.
"""

import sys
import threading
from collections.abc import Callable

import structlog

from authservice.serving.supervisor import Supervisor


def wait(stop: threading.Event, ready: Callable[[], None]) -> None:
    """Be a worker."""
    ready()
    stop.wait()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))
    sys.exit(Supervisor(wait, int(sys.argv[1]), lambda: print("ready", flush=True)).run())
