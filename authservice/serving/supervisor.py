"""Several processes on one port, kept alive by a parent that does nothing else.

The parent forks before any grpc object, thread or database connection exists, since none of them survives a fork. The
kernel spreads new connections over the children (SO_REUSEPORT). A child that dies is replaced; a parent that dies takes
its children along, by the end of a pipe that only it holds open.
"""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from authservice.serving.rare_log import RareLog
from authservice.serving.raw_output import RawOutput
from authservice.serving.signals import STOP_SIGNALS, Hangups, Signals
from authservice.serving.standard_streams import drain

Worker = Callable[[threading.Event, Callable[[], None], Hangups], None]
"""Serves until the event is set. Calls its second argument once, when it is ready, and heeds its third."""

QUICK_DEATH_SECONDS = 2.0
MAX_QUICK_DEATHS = 5
RESTART_PAUSE_SECONDS = 0.2
WATCHED = (*STOP_SIGNALS, signal.SIGHUP, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Place:
    """One of the workers that there should be, filled, or to be filled, since or from a moment (monotonic seconds)."""

    number: int
    moment: float


@dataclass(slots=True)
class Supervisor:
    """Runs `count` copies of `worker`. Lives in the parent process.

    Args:
        on_ready: called once all workers are ready.
        patience: seconds after which a worker that was told to stop is killed.
        cores: each worker keeps to one of these, in turn, and so does who replaces it; none: to no core.
        held: descriptors that this process keeps open for the workers.
    """

    worker: Worker
    count: int
    on_ready: Callable[[], None]
    log: RareLog
    patience: float = 60.0
    cores: tuple[int, ...] = ()
    held: tuple[int, ...] = ()
    _children: dict[int, Place] = field(default_factory=dict)
    _empty: list[Place] = field(default_factory=list)
    _quick_deaths: int = 0
    _missing: int = 0
    _has_hung_up: bool = False
    _kill_at: float | None = None
    _lifeline: int = -1
    _lifeline_write: int = -1
    _ready: int = -1
    _ready_write: int = -1
    _raw_output: RawOutput = field(init=False)

    def __post_init__(self) -> None:
        self._raw_output = RawOutput(self.log)

    def start(self) -> None:
        """Fork the workers. Until `watch`, signals to this process wait."""
        self._lifeline, self._lifeline_write = os.pipe()
        self._ready, self._ready_write = os.pipe()
        self._raw_output.open()
        self._missing = self.count
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        for number in range(self.count):
            self._fill(number)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What has to stay open in a process that watches in place of this one."""
        pipes = (self._lifeline, self._lifeline_write, self._ready, self._ready_write)
        return (*self.held, *pipes, self._raw_output.read, self._raw_output.write)

    def watch(self) -> int:
        """Keep the workers alive until SIGTERM or SIGINT, and pass SIGHUP on to them.

        Returns an exit code: 0, or 1 if the workers keep dying.
        """
        signals = Signals(*WATCHED)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        self._reap()
        while self._children or self._empty:
            waited_for = [signals.fileno(), self._ready]
            if self._raw_output.due_at <= time.monotonic():
                waited_for.append(self._raw_output.read)
            readable, _, _ = select.select(waited_for, [], [], self._until_due())
            if self._ready in readable:
                self._count_ready()
            if self._raw_output.read in readable:
                self._raw_output.tell()
            come = signals.take()
            if signal.SIGHUP in come:
                self._has_hung_up = True
                self._signal_children(signal.SIGHUP)
            if not come.isdisjoint(STOP_SIGNALS):
                self._stop()
            self._reap()
            self._do_what_is_due()
        self._raw_output.tell()
        drain()
        return 1 if self._quick_deaths >= MAX_QUICK_DEATHS else 0

    @property
    def _is_stopping(self) -> bool:
        return self._kill_at is not None

    def _count_ready(self) -> None:
        ready = len(os.read(self._ready, 4096))
        if 0 < self._missing <= ready and not self._is_stopping:
            self.on_ready()
        self._missing = max(0, self._missing - ready)

    def _until_due(self) -> float | None:
        now = time.monotonic()
        due = [place.moment for place in self._empty] + ([] if self._kill_at is None else [self._kill_at])
        if self._raw_output.due_at > now:
            due.append(self._raw_output.due_at)
        return max(0.0, min(due) - now) if due else None

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        while self._empty and self._empty[0].moment <= now:
            self._fill(self._empty.pop(0).number)
        if self._kill_at is not None and self._kill_at <= now and self._children:
            self.log.error("workers_do_not_stop", count=len(self._children))
            self._signal_children(signal.SIGKILL)
            self._kill_at = now + self.patience

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            if pid in self._children:  # Or an orphan, where this is the first process of a container.
                self._bury(pid, status)

    def _bury(self, pid: int, status: int) -> None:
        place, now = self._children.pop(pid), time.monotonic()
        if self._is_stopping:
            return
        self._raw_output.tell()  # Its last words.
        self.log.warning("worker_died", pid=pid, status=os.waitstatus_to_exitcode(status))
        self._quick_deaths = self._quick_deaths + 1 if now - place.moment < QUICK_DEATH_SECONDS else 0
        if self._quick_deaths >= MAX_QUICK_DEATHS:
            self.log.error("workers_keep_dying", count=self._quick_deaths)
            self._stop()
        else:
            self._empty.append(Place(place.number, now + RESTART_PAUSE_SECONDS))

    def _stop(self) -> None:
        self._signal_children(signal.SIGTERM)
        self._empty.clear()
        self._kill_at = time.monotonic() + self.patience

    def _signal_children(self, signum: int) -> None:
        # None of these pids can be another's by now: the dead are kept until `_reap` asks for them.
        for pid in self._children:
            os.kill(pid, signum)

    def _fill(self, number: int) -> None:
        # A signal in between would be lost on a child without handlers of its own.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        pid = os.fork()
        if pid:
            self._children[pid] = Place(number, time.monotonic())
            if self._has_hung_up:  # It begins with what the first ones began with.
                os.kill(pid, signal.SIGHUP)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return
        code = 1
        try:
            os.close(self._lifeline_write)
            os.close(self._ready)
            self._raw_output.divert()
            code = self._live(number)
        finally:
            drain()
            os._exit(code)

    def _live(self, number: int) -> int:
        if self.cores:  # Before there is a thread: each begins where the one is that makes it.
            with contextlib.suppress(OSError):  # It may have been taken from us since.
                os.sched_setaffinity(0, (self.cores[number % len(self.cores)],))
        stop, hangups = threading.Event(), Hangups()
        # Handlers that set the event would wait for the main thread, and could meet the event's own lock.
        signals = Signals(*STOP_SIGNALS, signal.SIGHUP)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        threading.Thread(target=_wait_for_end, args=(self._lifeline, signals, stop, hangups), daemon=True).start()
        try:
            self.worker(stop, self._tell_ready, hangups)
        except Exception:
            self.log.exception("worker_failed")
            return 1
        return 0

    def _tell_ready(self) -> None:
        os.write(self._ready_write, b".")


def _wait_for_end(lifeline: int, signals: Signals, stop: threading.Event, hangups: Hangups) -> None:
    while not stop.is_set():
        readable, _, _ = select.select((lifeline, signals.fileno()), [], [])
        come = signals.take()
        if signal.SIGHUP in come:
            hangups.come()
        if lifeline in readable or not come.isdisjoint(STOP_SIGNALS):
            stop.set()
