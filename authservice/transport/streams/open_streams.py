"""The streams of one kind that stay open: who is let in, whose turn it is, who has to go, and their end.

What is said on them is up to those who build on this. Each stream has at most one write under way, and what it still
has to get is not queued but asked for when it is its turn. So a thousand slow ones cost no more than a thousand quick
ones. The writing itself is in writers.py.
"""

import contextlib
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from authservice.domain.errors import AuthError, Overloaded, ShuttingDown
from authservice.transport.statuses import set_status, status_of
from authservice.transport.streams.writers import Line, Stream, Writers

S = TypeVar("S", bound=Stream)

RETRY_SECONDS = 1.0
"""After which one that was refused may find a place."""


def _connection(stream: Stream) -> str:
    return stream.peer


def _host(stream: Stream) -> str:
    return stream.host


class OpenStreams(ABC, Generic[S]):
    """Lives as long as the server; safe for many threads. `lock` is held for moments, and never during a write.

    Args:
        now: a monotonic clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.lock = threading.Lock()
        self._open: set[S] = set()
        self._unread: dict[S, None] = {}  # Those that have not read anything yet, the oldest first.
        self._is_closed = False
        self._crews: list[Writers[S]] = []

    def __len__(self) -> int:
        return len(self._open)

    @property
    @abstractmethod
    def most(self) -> int:
        """How many there may be. Whoever has many of them then gives way to one who has few; others are refused."""

    @property
    def unread_per_host(self) -> int | None:
        """How many of one host there may be that have not read anything yet. None for any number."""
        return None

    @abstractmethod
    def crew_of(self, stream: S) -> Writers[S]:
        """Return whose turn a stream is waiting for."""

    @abstractmethod
    def begin(self, stream: S) -> None:
        """Prepare a stream that was let in. What this raises refuses it."""

    @abstractmethod
    def is_due(self, stream: S) -> bool:
        """Tell whether a stream has to hear something. Called under the lock."""

    @abstractmethod
    def next_message(self, stream: S) -> Any:
        """Return what it has to hear, now that it is its turn. None if it cannot be told and has to go.

        Raises StopIteration where everything has been said, or the AuthError that the stream is to end with.
        """

    def has_more(self, stream: S) -> bool:
        """Tell whether a stream that has just heard something has to hear more at once. Called under the lock."""
        return self.is_due(stream)

    def hire(self, name: str, count: int, line: Line[S]) -> Writers[S]:
        """Return new threads that write, with their line. To be called by constructors."""
        crew = Writers(name, count, line, self._read, self._write, self.drop, self.now)
        self._crews.append(crew)
        return crew

    def take(self, stream: S) -> None:
        """Let a stream in; it hears something soon. Raises Overloaded, ShuttingDown, and what `begin` raises."""
        if pushed_out := self._admit(stream):
            self.drop(pushed_out)
        try:
            self.begin(stream)
        except BaseException:
            self._forget(stream)
            raise
        if stream.context.add_callback(lambda: self._forget(stream)):
            self.crew_of(stream).put(stream)
        else:
            self._forget(stream)

    def announce(self) -> None:
        """Let everyone hear who is due, and drop those that do not read. To be called several times a second."""
        self.spread()
        for crew in self._crews:
            crew.drop_blocked()

    def spread(self) -> None:
        """Let everyone hear who is due."""
        with self.lock:
            due = [stream for stream in self._open if not stream.is_busy and self.is_due(stream)]
            for stream in due:
                stream.is_busy = True
        for stream in due:
            self.crew_of(stream).put(stream)

    def drop(self, stream: S) -> None:
        """End a stream that does not read, which also wakes a write that is blocked."""
        self._forget(stream)
        stream.context.cancel()

    def finish(self, stream: S, error: AuthError | None = None) -> None:
        """End a stream well, or with the status of a condition."""
        self._forget(stream)
        if error:
            set_status(stream.context, status_of(error))
        stream.send(None)

    def close(self) -> None:
        """End every stream with SHUTTING_DOWN, and the threads."""
        with self.lock:
            if self._is_closed:
                return
            self._is_closed = True
            streams, self._open = self._open, set()
        for stream in streams:
            set_status(stream.context, status_of(ShuttingDown()))
            with contextlib.suppress(Exception):  # It may have hung up meanwhile.
                stream.send(None)
        for crew in self._crews:
            crew.close()

    def _admit(self, stream: S) -> S | None:
        """Take a stream, and return which other one has to go for it. Raises Overloaded, ShuttingDown."""
        with self.lock:
            if self._is_closed:
                raise ShuttingDown
            is_full = len(self._open) >= self.most
            pushed_out = self._one_of_many(stream) if is_full else self._one_too_many(stream)
            self._open.add(stream)
            self._unread[stream] = None
        return pushed_out

    def _one_of_many(self, stream: S) -> S:
        """Return whose place a stream gets where all are taken. Raises Overloaded.

        Anyone may take places, and whoever takes many is to give way to one who has few: first the connection with the
        most streams, then the host. Its oldest stream goes, which has had the most of it.
        """
        for share_of in (_connection, _host):
            counts = Counter(map(share_of, self._open))
            most = max(counts.values(), default=0)
            if most > counts[share_of(stream)] + 1:  # Or the two would only change places.
                fullest = (each for each in self._open if counts[share_of(each)] == most)
                return min(fullest, key=lambda each: each.number)
        raise Overloaded(RETRY_SECONDS)

    def _one_too_many(self, stream: S) -> S | None:
        if self.unread_per_host is None:
            return None
        unread = [each for each in self._unread if each.host == stream.host]
        if len(unread) < self.unread_per_host:
            return None
        # Behind one address there may be honest ones too. They have a connection of their own, with one stream; so the
        # fullest connection has to give way. Its oldest stream has had the most time to read.
        counts = Counter(each.peer for each in unread)
        most = max(counts.values())
        if counts[stream.peer] >= most:
            raise Overloaded(RETRY_SECONDS)
        return next(each for each in unread if counts[each.peer] == most)

    def _read(self, stream: S) -> Any:
        """Return what a stream has to hear. None if it has hung up, or was ended instead."""
        if stream not in self._open:
            return None
        try:
            message = self.next_message(stream)
        except StopIteration:
            self.finish(stream)
            return None
        except AuthError as error:
            self.finish(stream, error)
            return None
        if message is None:
            self.drop(stream)
        return message

    def _write(self, stream: S, message: Any) -> None:
        stream.send(message)
        stream.heard_at = self.now()
        with self.lock:
            self._unread.pop(stream, None)
            # Either this sees what has just arrived, or `spread` sees that the stream is free.
            stream.is_busy = self.has_more(stream)
        if stream.is_busy:
            self.crew_of(stream).put(stream)

    def _forget(self, stream: S) -> None:
        with self.lock:
            self._open.discard(stream)
            self._unread.pop(stream, None)
