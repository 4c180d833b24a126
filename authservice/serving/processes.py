"""`serve`: the parent and its workers."""

import os
import threading
from collections.abc import Callable

from authservice import bootstrap
from authservice.config import Settings
from authservice.serving.greeting import greeting
from authservice.serving.preparation import prepare
from authservice.serving.supervisor import Supervisor, reserve_port
from authservice.serving.worker import work

SLACK_SECONDS = 5.0
"""What a worker may take beyond the grace of running calls before it is killed."""


def serve(settings: Settings) -> int:
    """Serve until SIGTERM. Returns the exit code."""
    prepare(settings)
    cores = len(os.sched_getaffinity(0))
    holder = reserve_port(settings.host, settings.port)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{holder.getsockname()[1]}"

    def worker(stop: threading.Event, ready: Callable[[], None]) -> None:
        work(settings, address, cores, stop, ready)

    return Supervisor(
        worker,
        bootstrap.worker_count(settings, cores),
        on_ready=lambda: print(greeting(address, settings), flush=True),
        patience=settings.shutdown_grace + SLACK_SECONDS,
    ).run()
