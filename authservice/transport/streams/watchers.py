"""Those who watch the revocations, and what is written to them by a few threads; see writers.py.

Each watcher has at most one write under way, and what it still has to get is not queued but read from the feed when it
is its turn. Anyone may watch, so anyone may also open streams and read nothing. Newcomers have writers of their own:
whoever has been reading for a while never waits behind them. Of the others the oldest goes first, so those who read
for a while and then stop delay nobody older by more than one patience.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
from authapi.v1 import trust_service_pb2 as api

from authservice.domain.errors import Overloaded, ShuttingDown
from authservice.domain.revocation import Revocation
from authservice.domain.signing_key import SigningKey
from authservice.transport.messages.times import duration, timestamp
from authservice.transport.messages.trust import key_set, revocation
from authservice.transport.statuses import set_status, status_of
from authservice.transport.streams.writers import OldestFirst, Send, Stream, Turns, Writers
from authservice.usecases.trust.revocation_feed import KEPT, Bookmark, RevocationFeed, TooFarBehind

WRITERS = 16
NEWCOMER_WRITERS = 32
"""More, because anyone can block them: of 300 connections that do, the last one's turn comes after about 5 seconds."""
HEARTBEAT_SECONDS = 0.8
"""A watcher hears at least this often, and is promised a second."""
NEWCOMER_SECONDS = 5.0
"""Whoever has been reading for this long is no newcomer. It is ten times what not reading costs the others."""
UNREAD_PER_HOST = 256
"""Streams of one host that have not read anything yet: a fleet may come back at once, and nobody take every place."""
SNAPSHOT_RULES = 500


class _Watcher(Stream):
    """One open stream. `position` is how far into the feed it has got."""

    def __init__(self, context: grpc.ServicerContext, send: Send, now: float) -> None:
        super().__init__(context, send)
        self.opened_at = now
        self.opening: Iterator[api.WatchRevocationsResponse] | None = None
        self.position = 0
        self.keys: object = None
        self.heard_at = 0.0
        self.is_busy = True


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
        self._unread: dict[_Watcher, None] = {}  # Those that have not read anything yet, the oldest first.
        self._is_closed = False
        self._latest: tuple[tuple[int, float, int], api.WatchRevocationsResponse] | None = None
        self._newcomers = Writers(
            "watch-new", NEWCOMER_WRITERS, Turns[_Watcher](), self._write, self._drop, feed.monotonic
        )
        self._established = Writers("watch", WRITERS, OldestFirst[_Watcher](), self._write, self._drop, feed.monotonic)

    def __len__(self) -> int:
        return len(self._watchers)

    def open(self, request: api.WatchRevocationsRequest, context: grpc.ServicerContext, send: Send) -> None:
        """Take a stream. Raises Overloaded, ShuttingDown, ResumePointUnknown."""
        watcher = _Watcher(context, send, self._feed.monotonic())
        if pushed_out := self._admit(watcher):
            self._drop(pushed_out)
        try:
            watcher.opening = self._opening(watcher, request)
        except BaseException:
            self._forget(watcher)
            raise
        if context.add_callback(lambda: self._forget(watcher)):
            self._newcomers.put(watcher)
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
            self._put(watcher)
        self._newcomers.drop_blocked()
        self._established.drop_blocked()

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
        self._newcomers.close()
        self._established.close()

    def _admit(self, watcher: _Watcher) -> _Watcher | None:
        """Take a watcher, and return which other one has to go for it. Raises Overloaded, ShuttingDown."""
        with self._lock:
            if self._is_closed:
                raise ShuttingDown
            if len(self._watchers) >= self._most:
                raise Overloaded(1.0)
            pushed_out = self._one_too_many(watcher)
            self._watchers.add(watcher)
            self._unread[watcher] = None
        return pushed_out

    def _one_too_many(self, watcher: _Watcher) -> _Watcher | None:
        unread = [each for each in self._unread if each.host == watcher.host]
        if len(unread) < UNREAD_PER_HOST:
            return None
        # Behind one address there may be honest ones too. They have a connection of their own, with one stream; so the
        # fullest connection has to give way. Its oldest stream has had the most time to read.
        counts = Counter(each.peer for each in unread)
        most = max(counts.values())
        if counts[watcher.peer] >= most:
            raise Overloaded(1.0)
        return next(each for each in unread if counts[each.peer] == most)

    def _put(self, watcher: _Watcher) -> None:
        is_newcomer = watcher.heard_at < watcher.opened_at + NEWCOMER_SECONDS
        (self._newcomers if is_newcomer else self._established).put(watcher)

    def _is_due(self, watcher: _Watcher, now: float) -> bool:
        return (
            watcher.position < self._feed.position
            or watcher.keys is not self._published()
            or now >= watcher.heard_at + HEARTBEAT_SECONDS
        )

    def _write(self, watcher: _Watcher) -> None:
        if watcher not in self._watchers:
            return  # It has hung up, perhaps in the middle of a snapshot.
        try:
            message = self._next_message(watcher)
        except TooFarBehind:
            self._drop(watcher)
            return
        watcher.send(message)
        watcher.heard_at = self._feed.monotonic()
        with self._lock:
            self._unread.pop(watcher, None)
            # Either this sees what has just arrived, or `announce` sees that the watcher is free.
            watcher.is_busy = watcher.opening is not None or watcher.position < self._feed.position
        if watcher.is_busy:
            self._put(watcher)

    def _next_message(self, watcher: _Watcher) -> api.WatchRevocationsResponse:
        message = next(watcher.opening, None) if watcher.opening else None
        if message is None:
            watcher.opening = None
            message = self._news(watcher)
        return message

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

    def _drop(self, watcher: _Watcher) -> None:
        self._forget(watcher)
        watcher.context.cancel()  # Wakes the write that is blocked.

    def _forget(self, watcher: _Watcher) -> None:
        with self._lock:
            self._watchers.discard(watcher)
            self._unread.pop(watcher, None)
