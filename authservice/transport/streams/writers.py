"""The threads that write to streams which stay open for hours, and the line in front of them.

A stream holds no thread while there is nothing to say. Writing to one blocks for as long as its client does not read,
and nothing tells beforehand whether it does. So whoever has something to hear stands in line, and a write that blocks
for long is ended by cancelling its stream.

No lock is held during a write: what ends a write comes from grpc's one serving thread, which also runs the callbacks
that say a stream is over. Were such a callback to wait for a lock that a write holds, both would wait for ever.
"""

import heapq
import itertools
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import grpc
import structlog

log = structlog.get_logger()

BLOCKED_SECONDS = 5.0
"""How long a stream may leave one write unread."""
IMPATIENT_SECONDS = 0.5
"""The same while others wait for a thread. On a busy machine a healthy write may take a tenth of this."""

Send = Callable[[Any], None]


class Stream:
    """One open stream.

    `peer` names its connection, `host` the machine at the other end, `number` who came first. `heard_at` is when the
    last write came to its end; `is_busy` says that one is under way, or that the stream stands in line for one.
    """

    _numbers = itertools.count()

    def __init__(self, context: grpc.ServicerContext, send: Send) -> None:
        self.context = context
        self.send = send
        self.number = next(self._numbers)
        self.peer = context.peer()
        self.host = self.peer.rpartition(":")[0]
        self.heard_at = 0.0
        self.is_busy = True


S = TypeVar("S", bound=Stream)


class Line(Protocol[S]):
    """Those who wait for a writer. Used under a lock."""

    def __len__(self) -> int: ...

    def put(self, stream: S) -> None:
        """Let a stream stand in line."""

    def take(self) -> S:
        """Return whose turn it is. There must be one."""


class Turns(Generic[S]):
    """Hosts take turns, and so do the connections of a host, however many streams each has."""

    def __init__(self) -> None:
        self._hosts: OrderedDict[str, OrderedDict[str, deque[S]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._hosts)

    def put(self, stream: S) -> None:
        """Let a stream stand behind the others of its connection."""
        self._hosts.setdefault(stream.host, OrderedDict()).setdefault(stream.peer, deque()).append(stream)

    def take(self) -> S:
        """Return the first stream of the first connection of the first host. Both then go to the end."""
        host, connections = self._hosts.popitem(last=False)
        peer, waiting = connections.popitem(last=False)
        stream = waiting.popleft()
        if waiting:
            connections[peer] = waiting
        if connections:
            self._hosts[host] = connections
        return stream


class OldestFirst(Generic[S]):
    """Whoever came first goes first, every time. Who stops reading is dropped, and has to begin as the youngest."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, S]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, stream: S) -> None:
        """Let a stream stand in line by its age."""
        heapq.heappush(self._heap, (stream.number, stream))

    def take(self) -> S:
        """Return the oldest."""
        return heapq.heappop(self._heap)[1]


class Writers(Generic[S]):
    """Threads and their line. Live as long as the server; safe for many threads.

    Args:
        read: returns what a stream has to hear now that it is its turn; None if nothing. It may take as long as a
            database does, and none of that is laid to the stream's client.
        write: makes one write, which waits for the client.
        drop: cancels a stream, which wakes a write that is blocked.

    What `read` or `write` raises is logged and the stream dropped.
    """

    def __init__(
        self,
        name: str,
        count: int,
        line: Line[S],
        read: Callable[[S], Any],
        write: Callable[[S, Any], None],
        drop: Callable[[S], None],
        now: Callable[[], float],
    ) -> None:
        self._read = read
        self._write = write
        self._drop = drop
        self._now = now
        self._line = line
        self._arrival = threading.Condition()
        self._is_closed = False
        self._at_work: list[tuple[float, S] | None] = [None] * count  # Since when each waits for which client.
        self.threads = [
            threading.Thread(target=self._run, args=(number,), name=name, daemon=True) for number in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def put(self, stream: S) -> None:
        """Let a stream stand in line. It must not stand there already."""
        with self._arrival:
            self._line.put(stream)
            self._arrival.notify()

    def drop_blocked(self) -> None:
        """Drop who does not read. To be called several times a second."""
        now = self._now()
        at_work = [each for each in list(self._at_work) if each]
        is_jammed = len(at_work) == len(self._at_work) and len(self._line) > 0
        patience = IMPATIENT_SECONDS if is_jammed else BLOCKED_SECONDS
        blocked = [stream for since, stream in at_work if now - since > patience]
        if blocked:
            log.warning("watcher_does_not_read", count=len(blocked), hosts=sorted({stream.host for stream in blocked}))
        for stream in blocked:
            self._drop(stream)

    def close(self) -> None:
        """End the threads, each after the write that it is at."""
        with self._arrival:
            self._is_closed = True
            self._arrival.notify_all()

    def _run(self, number: int) -> None:
        while (stream := self._next()) is not None:
            try:
                self._serve(stream, number)
            except Exception:
                log.exception("watcher_lost")
                self._drop(stream)
            finally:
                self._at_work[number] = None
            del stream  # Or the thread would keep it until the next one comes.

    def _serve(self, stream: S, number: int) -> None:
        self._at_work[number] = (math.inf, stream)  # At work, and waiting for no client.
        if (message := self._read(stream)) is not None:
            self._at_work[number] = (self._now(), stream)
            self._write(stream, message)

    def _next(self) -> S | None:
        with self._arrival:
            while not self._line and not self._is_closed:
                self._arrival.wait()
            return None if self._is_closed else self._line.take()
