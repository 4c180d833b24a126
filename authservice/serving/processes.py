"""`serve`: the parent and its workers.

Memory decides who imports what. What has to be so first is brought about by a process that ends. The workers are forked
from one that has imported all they need, so that they share it. This one then goes on as one that has imported nothing.
"""

import functools
import gc
import os
import pickle
import signal
import sys
from typing import Never

from authservice import bootstrap
from authservice.config import Settings
from authservice.serving import worker as _shared  # noqa: F401 - see above
from authservice.serving.blueprint import Blueprint
from authservice.serving.cores import usable_cores
from authservice.serving.greeting import greeting
from authservice.serving.port import reserve_port
from authservice.serving.rare_log import RareLog
from authservice.serving.standard_streams import say
from authservice.serving.succession import hand_over
from authservice.serving.supervisor import Supervisor

SLACK_SECONDS = 5.0
"""What a worker may take beyond the grace of running calls before it is killed."""


def serve(settings: Settings, *, is_new: bool = False) -> Never:
    """Serve until SIGTERM, and end with the exit code. Raises CannotListen, and what `prepare` raises."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # Until there is somebody who rereads.
    # First, because a start that fails here should leave no new database and no new keys behind.
    reserved = reserve_port(settings.host, settings.port)
    prepare_apart(settings, is_new=is_new)
    cores = usable_cores()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    supervisor = Supervisor(
        Blueprint(pickle.dumps(settings), reserved.addresses, cores, bootstrap.file_of(settings)),
        bootstrap.worker_count(settings, cores.count),
        on_ready=functools.partial(say, greeting(f"{host}:{reserved.port}", settings)),
        log=RareLog(settings.log_level, settings.log_format),
        patience=settings.shutdown_grace + SLACK_SECONDS,
        cores=bootstrap.cores_to_keep_to(settings, cores.numbers, reserved.port),
        held=tuple(held.detach() for held in reserved.sockets),
    )
    # What the collector does not look at it does not write to, and what nobody writes to stays shared.
    gc.collect()
    gc.freeze()
    supervisor.start()
    hand_over(supervisor)


def prepare_apart(settings: Settings, *, is_new: bool = False) -> None:
    """Do what `prepare` does in a process that ends, and end as that one does if it fails.

    What it raises goes up there as it would here, to the same words and the same exit code.
    """
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C comes to both, and one of them says so.
        from authservice.serving.preparation import prepare  # noqa: PLC0415

        prepare(settings, is_new=is_new)
        os._exit(0)  # Nothing is left to be done, and the interpreter would take its time about it.
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        sys.exit(code if code > 0 else 128 - code)  # Of a signal, as shells have it.
