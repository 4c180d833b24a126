"""Those who watch the revocations, and what is written to them; see open_streams.py.

What a watcher still has to get is read from the feed when it is its turn. Anyone may watch, so anyone may also open
streams and read nothing. Newcomers have writers of their own: whoever has been reading for a while never waits behind
them. Of the others the oldest goes first, so those who read for a while and then stop delay nobody older by more than
one patience.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
from authapi.v1 import trust_service_pb2 as api

from authservice.domain.revocation import Revocation
from authservice.domain.signing_key import SigningKey
from authservice.transport.messages.times import duration, timestamp
from authservice.transport.messages.trust import key_set, revocation
from authservice.transport.streams.open_streams import OpenStreams
from authservice.transport.streams.writers import OldestFirst, Send, Stream, Turns, Writers
from authservice.usecases.trust.revocation_feed import KEPT, Bookmark, RevocationFeed, TooFarBehind

WRITERS = 16
NEWCOMER_WRITERS = 32
"""More, because anyone can block them: of 300 connections that do, the last one's turn comes after about 5 seconds."""
HEARTBEAT_SECONDS = 0.8
"""A watcher hears at least this often, and is promised a second."""
SOONEST_HEARTBEAT_SECONDS = 0.4
"""Each has a time of its own between the two. All have heard the same news at once, and calls would have to wait while
thousands are told at once that there is no more."""
NEWCOMER_SECONDS = 5.0
"""Whoever has been reading for this long is no newcomer. It is ten times what not reading costs the others."""
UNREAD_PER_HOST = 256
"""Streams of one host that have not read anything yet: a fleet may come back at once, and nobody take every place."""
SNAPSHOT_RULES = 500


class _Watcher(Stream):
    """One open stream. `position` is how far into the feed it has got."""

    def __init__(
        self, context: grpc.ServicerContext, send: Send, request: api.WatchRevocationsRequest, now: float
    ) -> None:
        super().__init__(context, send)
        self.request = request
        self.opened_at = now
        self.opening: Iterator[api.WatchRevocationsResponse] | None = None
        self.position = 0
        self.keys: object = None
        self.heartbeat = random.uniform(SOONEST_HEARTBEAT_SECONDS, HEARTBEAT_SECONDS)  # noqa: S311  # no secret


class Watchers(OpenStreams[_Watcher]):
    """All open streams of one process. Lives as long as the server; safe for many threads.

    Args:
        feed: must have been read once before the first watcher comes.
        published: answers the key set; the same object while nothing has changed.
        most: how many watchers there may be. More are refused.
    """

    def __init__(self, feed: RevocationFeed, published: Callable[[], list[SigningKey] | None], most: int) -> None:
        super().__init__(feed.monotonic)
        self._feed = feed
        self._published = published
        self._most = most
        self._latest: tuple[tuple[int, float, int], api.WatchRevocationsResponse] | None = None
        self._newcomers = self.hire("watch-new", NEWCOMER_WRITERS, Turns[_Watcher]())
        self._established = self.hire("watch", WRITERS, OldestFirst[_Watcher]())

    def open(self, request: api.WatchRevocationsRequest, context: grpc.ServicerContext, send: Send) -> None:
        """Take a stream. Raises Overloaded, ShuttingDown, ResumePointUnknown."""
        self.take(_Watcher(context, send, request, self.now()))

    @property
    def most(self) -> int:
        return self._most

    @property
    def unread_per_host(self) -> int:
        return UNREAD_PER_HOST

    def crew_of(self, stream: _Watcher) -> Writers[_Watcher]:
        is_newcomer = stream.heard_at < stream.opened_at + NEWCOMER_SECONDS
        return self._newcomers if is_newcomer else self._established

    def begin(self, stream: _Watcher) -> None:
        """Prepare the first messages. Raises ResumePointUnknown."""
        stream.opening = self._opening(stream)

    def is_due(self, stream: _Watcher) -> bool:
        """Tell whether there is news, or nothing was heard for a while, not even that there is no news."""
        return (
            stream.position < self._feed.position
            or stream.keys is not self._published()
            or self.now() >= stream.heard_at + stream.heartbeat
        )

    def has_more(self, stream: _Watcher) -> bool:
        return stream.opening is not None or stream.position < self._feed.position

    def next_message(self, stream: _Watcher) -> api.WatchRevocationsResponse | None:
        try:
            return self._next_message(stream)
        except TooFarBehind:
            return None

    def _next_message(self, watcher: _Watcher) -> api.WatchRevocationsResponse:
        message = next(watcher.opening, None) if watcher.opening else None
        if message is None:
            watcher.opening = None
            message = self._news(watcher)
        return message

    def _opening(self, watcher: _Watcher) -> Iterator[api.WatchRevocationsResponse]:
        request = watcher.request
        opened_at = self.now()
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
