"""Those who watch the revocations, and the few threads that write to all of them.

A watcher holds no thread while there is nothing to say. Writing to one blocks for as long as it does not read, so each
watcher has at most one write under way, and what it still has to get is not queued but read from the feed when it is
its turn. One that blocks for long, or blocks while others wait for a thread, is cancelled.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import structlog
from authapi.v1 import trust_service_pb2 as api

from authservice.domain.errors import Overloaded, ShuttingDown
from authservice.domain.revocation import Revocation
from authservice.domain.signing_key import SigningKey
from authservice.transport.messages import duration, key_set, revocation, timestamp
from authservice.transport.statuses import set_status, status_of
from authservice.usecases.revocation_feed import KEPT, Bookmark, RevocationFeed, TooFarBehind

log = structlog.get_logger()

WRITERS = 16
HEARTBEAT_SECONDS = 0.8
"""A watcher hears at least this often, and is promised a second."""
BLOCKED_SECONDS = 5.0
"""How long a watcher may leave one write unread."""
IMPATIENT_SECONDS = 0.5
"""The same while others wait for a thread. On a busy machine a healthy write may take a tenth of this."""
SNAPSHOT_RULES = 500

Send = Callable[[api.WatchRevocationsResponse | None], None]


class _Watcher:
    """One open stream. `position` is how far into the feed it has got."""

    def __init__(self, context: grpc.ServicerContext, send: Send) -> None:
        self.context = context
        self.send = send
        self.opening: Iterator[api.WatchRevocationsResponse] | None = None
        self.position = 0
        self.keys: object = None
        self.heard_at = 0.0
        self.is_busy = True
        self.writing_since: float | None = None


class Watchers:
    """All open streams of one process. Lives as long as the server; safe for many threads.

    Args:
        feed: must have been read once before the first watcher comes.
        published: answers the key set; the same object while nothing has changed.
        most: how many watchers there may be. More are refused.
    """

    def __init__(self, feed: RevocationFeed, published: Callable[[], list[SigningKey] | None], most: int) -> None:
        self._feed = feed
        self._published = published
        self._most = most
        self._lock = threading.Lock()
        self._watchers: set[_Watcher] = set()
        self._is_closed = False
        self._line: queue.SimpleQueue[_Watcher | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._write, name="watch", daemon=True) for _ in range(WRITERS)]
        self._latest: tuple[tuple[int, float, int], api.WatchRevocationsResponse] | None = None
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._watchers)

    def open(self, request: api.WatchRevocationsRequest, context: grpc.ServicerContext, send: Send) -> None:
        """Take a stream. Raises Overloaded, ShuttingDown, ResumePointUnknown."""
        watcher = _Watcher(context, send)
        watcher.opening = self._opening(watcher, request)
        with self._lock:
            if self._is_closed:
                raise ShuttingDown
            if len(self._watchers) >= self._most:
                raise Overloaded(1.0)
            self._watchers.add(watcher)
        if context.add_callback(lambda: self._forget(watcher)):
            self._line.put(watcher)
        else:
            self._forget(watcher)

    def announce(self) -> None:
        """Let everyone know what is new who does not know it, and those who have not heard for a while that nothing is.

        To be called whenever the feed has been read.
        """
        now = self._feed.monotonic()
        with self._lock:
            due = [watcher for watcher in self._watchers if not watcher.is_busy and self._is_due(watcher, now)]
            for watcher in due:
                watcher.is_busy = True
        for watcher in due:
            self._line.put(watcher)
        self._drop_blocked(now)

    def close(self) -> None:
        """End every stream with SHUTTING_DOWN, and the threads."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            watchers, self._watchers = self._watchers, set()
        for watcher in watchers:
            set_status(watcher.context, status_of(ShuttingDown()))
            with contextlib.suppress(Exception):  # It may have hung up meanwhile.
                watcher.send(None)
        for _ in self._threads:
            self._line.put(None)

    def _is_due(self, watcher: _Watcher, now: float) -> bool:
        return (
            watcher.position < self._feed.position
            or watcher.keys is not self._published()
            or now >= watcher.heard_at + HEARTBEAT_SECONDS
        )

    def _write(self) -> None:
        while (watcher := self._line.get()) is not None:
            if watcher not in self._watchers:
                continue  # It has hung up, perhaps in the middle of a snapshot.
            watcher.writing_since = self._feed.monotonic()
            try:
                self._write_next(watcher)
            except Exception as error:
                if not isinstance(error, TooFarBehind):
                    log.exception("watcher_lost")
                self._cancel(watcher)
                continue
            finally:
                watcher.writing_since = None
            with self._lock:
                # Either this sees what has just arrived, or `announce` sees that the watcher is free.
                watcher.is_busy = watcher.opening is not None or watcher.position < self._feed.position
            if watcher.is_busy:
                self._line.put(watcher)

    def _write_next(self, watcher: _Watcher) -> None:
        message = next(watcher.opening, None) if watcher.opening else None
        if message is None:
            watcher.opening = None
            message = self._news(watcher)
        watcher.send(message)
        watcher.heard_at = self._feed.monotonic()

    def _opening(
        self, watcher: _Watcher, request: api.WatchRevocationsRequest
    ) -> Iterator[api.WatchRevocationsResponse]:
        """Return the first messages. Raises ResumePointUnknown."""
        opened_at = self._feed.monotonic()
        part = api.WATCH_PART_SNAPSHOT_END
        if request.HasField("resume_point"):
            rules, bookmark = self._feed.resume(request.resume_point.history, request.resume_point.seq)
            if len(rules) <= KEPT:
                part = api.WATCH_PART_DELTA
        if part == api.WATCH_PART_SNAPSHOT_END:
            rules, bookmark = self._feed.snapshot()
        watcher.position = bookmark.position
        watcher.keys = keys = self._published()
        return self._opening_parts(rules, bookmark, part, opened_at, keys)

    def _opening_parts(
        self,
        rules: tuple[Revocation, ...],
        bookmark: Bookmark,
        last_part: api.WatchPart.ValueType,
        opened_at: float,
        keys: list[SigningKey] | None,
    ) -> Iterator[api.WatchRevocationsResponse]:
        first: dict[str, Any] = {"open_uptime": duration(opened_at), "key_set": key_set(keys)}
        sent = 0
        while last_part == api.WATCH_PART_SNAPSHOT_END and len(rules) - sent > SNAPSHOT_RULES:
            part = rules[sent : sent + SNAPSHOT_RULES]
            yield api.WatchRevocationsResponse(part=api.WATCH_PART_SNAPSHOT, revocations=map(revocation, part), **first)
            sent += len(part)
            first = {}
        yield self._complete(last_part, rules[sent:], bookmark, **first)

    def _news(self, watcher: _Watcher) -> api.WatchRevocationsResponse:
        rules, bookmark = self._feed.since(watcher.position)
        keys = self._published()
        if keys is watcher.keys:
            message = self._shared_news(watcher.position, rules, bookmark)
        else:
            message = self._complete(api.WATCH_PART_DELTA, rules, bookmark, key_set=key_set(keys))
        watcher.position, watcher.keys = bookmark.position, keys
        return message

    def _shared_news(self, position: int, rules: list[Revocation], bookmark: Bookmark) -> api.WatchRevocationsResponse:
        # Nearly all watchers stand at the same place, and get the same message.
        step = (position, bookmark.read_uptime, bookmark.position)
        latest = self._latest
        if latest is None or latest[0] != step:
            latest = self._latest = step, self._complete(api.WATCH_PART_DELTA, rules, bookmark)
        return latest[1]

    def _complete(
        self, part: api.WatchPart.ValueType, rules: Sequence[Revocation], bookmark: Bookmark, **more: Any
    ) -> api.WatchRevocationsResponse:
        return api.WatchRevocationsResponse(
            part=part,
            revocations=map(revocation, rules),
            resume_point=api.ResumePoint(history=bookmark.history, seq=bookmark.seq),
            read_time=timestamp(bookmark.read_time),
            read_uptime=duration(bookmark.read_uptime),
            rule_count=bookmark.rule_count,
            **more,
        )

    def _drop_blocked(self, now: float) -> None:
        with self._lock:
            writing = [(watcher.writing_since, watcher) for watcher in self._watchers if watcher.writing_since]
        patience = IMPATIENT_SECONDS if len(writing) == WRITERS and not self._line.empty() else BLOCKED_SECONDS
        for since, watcher in writing:
            if since and now - since > patience:
                log.warning("watcher_does_not_read")
                self._cancel(watcher)

    def _cancel(self, watcher: _Watcher) -> None:
        self._forget(watcher)
        watcher.context.cancel()  # Wakes the write that is blocked.

    def _forget(self, watcher: _Watcher) -> None:
        with self._lock:
            self._watchers.discard(watcher)
