"""Several processes on one port, kept alive by a parent that does nothing else.

The parent forks before any grpc object, thread or database connection exists, since none of them survives a fork. The
kernel spreads new connections over the children (SO_REUSEPORT). A child that dies is replaced; a parent that dies takes
its children along, by the end of a pipe that only it holds open.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger()

Worker = Callable[[threading.Event, Callable[[], None]], None]
"""Serves until the event is set. Calls its second argument once, when it is ready."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
QUICK_DEATH_SECONDS = 2.0
MAX_QUICK_DEATHS = 5
RESTART_PAUSE_SECONDS = 0.2
POLL_SECONDS = 0.1


class PortTaken(Exception):
    """Somebody else listens on the port."""


def reserve_port(host: str, port: int) -> socket.socket:
    """Return a socket that holds the port for this process and its children, and listens to nobody.

    Raises PortTaken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # First without sharing: two servers of different installations must not split their callers between them.
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(probe, host, port)
        port = probe.getsockname()[1]
    holder = socket.socket(family, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _bind(holder, host, port)
    return holder


def _bind(sock: socket.socket, host: str, port: int) -> None:
    try:
        sock.bind((host, port))
    except OSError as error:
        raise PortTaken(
            f"Cannot listen on {host}:{port}: {error.strerror}. Stop the other program or choose another --port."
        ) from None


@dataclass(slots=True)
class Supervisor:
    """Runs `count` copies of `worker`. Lives in the parent process.

    Args:
        on_ready: called once all workers are ready.
        patience: seconds after which a worker that was told to stop is killed.
    """

    worker: Worker
    count: int
    on_ready: Callable[[], None]
    patience: float = 60.0
    _children: dict[int, float] = field(default_factory=dict)
    _stopping: bool = False
    _quick_deaths: int = 0
    _lifeline: int = -1
    _ready: int = -1
    _parent_only: tuple[int, ...] = ()

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT. Returns an exit code: 0, or 1 if the workers keep dying."""
        self._lifeline, lifeline_write = os.pipe()
        ready_read, self._ready = os.pipe()
        self._parent_only = (lifeline_write, ready_read)
        for signum in STOP_SIGNALS:
            signal.signal(signum, self._pass_on)
        signal.signal(signal.SIGALRM, self._lose_patience)
        for _ in range(self.count):
            self._fork()
        self._await_ready(ready_read)
        while self._children:
            self._replace(*os.wait())
        return 1 if self._quick_deaths >= MAX_QUICK_DEATHS else 0

    def _await_ready(self, ready_read: int) -> None:
        missing = self.count
        while missing and self._children:
            if select.select([ready_read], [], [], POLL_SECONDS)[0]:
                missing -= len(os.read(ready_read, missing))
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid:
                self._replace(pid, status)
        if not missing and not self._stopping:
            self.on_ready()

    def _replace(self, pid: int, status: int) -> None:
        age = time.monotonic() - self._children.pop(pid)
        if self._stopping:
            return
        log.warning("worker_died", pid=pid, status=os.waitstatus_to_exitcode(status))
        self._quick_deaths = self._quick_deaths + 1 if age < QUICK_DEATH_SECONDS else 0
        if self._quick_deaths >= MAX_QUICK_DEATHS:
            log.error("workers_keep_dying", count=self._quick_deaths)
            self._pass_on(signal.SIGTERM, None)
            return
        time.sleep(RESTART_PAUSE_SECONDS)
        if not self._stopping:
            self._fork()

    def _pass_on(self, _signum: int, _frame: object) -> None:
        self._stopping = True
        self._signal_children(signal.SIGTERM)
        signal.setitimer(signal.ITIMER_REAL, self.patience)

    def _lose_patience(self, _signum: int, _frame: object) -> None:
        log.error("workers_do_not_stop", count=len(self._children))
        self._signal_children(signal.SIGKILL)

    def _signal_children(self, signum: int) -> None:
        for pid in list(self._children):
            with contextlib.suppress(ProcessLookupError):  # It has just died and been waited for.
                os.kill(pid, signum)

    def _fork(self) -> None:
        # A signal in between would be lost on the child: unknown to the parent yet, or without handlers of its own.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        pid = os.fork()
        if pid:
            self._children[pid] = time.monotonic()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            if self._stopping:  # The handler may have run before the child was known.
                self._signal_children(signal.SIGTERM)
            return
        code = 1
        try:
            for descriptor in self._parent_only:
                os.close(descriptor)
            code = self._live()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _live(self) -> int:
        stop = threading.Event()
        signalled, signal_write = os.pipe()
        os.set_blocking(signal_write, False)
        # The interpreter writes a byte at once, whichever thread the signal came to. A handler of our own would wait
        # for the main thread, and setting the event in it could meet its own lock.
        signal.set_wakeup_fd(signal_write, warn_on_full_buffer=False)
        for signum in STOP_SIGNALS:
            signal.signal(signum, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        threading.Thread(target=_wait_for_end, args=((self._lifeline, signalled), stop), daemon=True).start()
        try:
            self.worker(stop, self._tell_ready)
        except Exception:
            log.exception("worker_failed")
            return 1
        return 0

    def _tell_ready(self) -> None:
        os.write(self._ready, b".")


def _wait_for_end(ends: tuple[int, ...], stop: threading.Event) -> None:
    select.select(ends, [], [])
    stop.set()
