"""A supervised program whose workers only wait: `python -m tests.faults.idle_workers COUNT [HOW]`.

The supervisor is the real one. Without grpc and a database a round takes a tenth of a second, so that signals can be
sent at many moments. With `aside` a line on standard input has the parent sent a SIGTERM that interrupts no wait. With
`crashing` each worker ends as one does in which a library finds something impossible.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable

from authservice.serving.rare_log import RareLog
from authservice.serving.signals import Hangups
from authservice.serving.supervisor import Supervisor

LAST_WORDS = "F0000 chttp2.cc:1] Check failed: caller says\nx\n"


def wait(stop: threading.Event, ready: Callable[[], None], hangups: Hangups) -> None:
    """Be a worker."""
    hangups.heed(lambda: None)
    if "crashing" in sys.argv:
        os.write(sys.stderr.fileno(), LAST_WORDS.encode())
        os.abort()
    ready()
    stop.wait()


def greet() -> None:
    """Say that all workers are ready."""
    if "aside" in sys.argv:
        threading.Thread(target=_signal_aside, daemon=True).start()
    print("ready", flush=True)


def _signal_aside() -> None:
    sys.stdin.readline()
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)


if __name__ == "__main__":
    supervisor = Supervisor(wait, int(sys.argv[1]), greet, RareLog("info", "json"))
    supervisor.start()
    sys.exit(supervisor.watch())
