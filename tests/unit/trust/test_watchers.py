"""Who gets what and when from the few threads that write to all watchers, and who is dropped."""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import pytest
from authapi.v1 import trust_service_pb2 as api

from authservice.domain.errors import Overloaded, ResumePointUnknown, ShuttingDown
from authservice.transport.streams import watchers as module
from authservice.transport.streams.watchers import (
    HEARTBEAT_SECONDS,
    NEWCOMER_SECONDS,
    NEWCOMER_WRITERS,
    SOONEST_HEARTBEAT_SECONDS,
    Watchers,
)
from authservice.transport.streams.writers import BLOCKED_SECONDS, IMPATIENT_SECONDS
from tests.faults.processes import wait_until
from tests.unit.trust.test_revocation_feed import World, crowd, rule

SECONDS = 10.0
"""How long a test waits before it fails."""
MOST = 3 * NEWCOMER_WRITERS


@dataclass
class Stream:
    """What grpc gives a handler for one stream. Writing to it waits while `is_read` is not set."""

    address: str = "ipv4:10.0.0.1:1000"
    is_open: bool = True
    is_read: threading.Event = field(default_factory=threading.Event)
    got: "queue.SimpleQueue[api.WatchRevocationsResponse | None]" = field(default_factory=queue.SimpleQueue)
    writing: threading.Event = field(default_factory=threading.Event)
    code: grpc.StatusCode | None = None
    error: Exception | None = None
    on_end: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.is_read.set()
        self.cancelled = threading.Event()
        self.at_once = 0

    def send(self, answer: api.WatchRevocationsResponse | None) -> None:
        """Take an answer."""
        if self.error:
            raise self.error
        self.at_once += 1
        assert self.at_once == 1 or answer is None, "one write at a time"
        self.writing.set()
        assert self.is_read.wait(SECONDS)
        self.at_once -= 1
        self.got.put(answer)

    def next(self) -> api.WatchRevocationsResponse:
        """Return the next answer."""
        answer = self.got.get(timeout=SECONDS)
        assert answer is not None
        return answer

    def peer(self) -> str:
        """See grpc.ServicerContext."""
        return self.address

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """See grpc.RpcContext."""
        self.on_end = callback
        return self.is_open

    def cancel(self) -> None:
        """See grpc.RpcContext. Wakes a write."""
        self.cancelled.set()
        self.is_read.set()

    def set_code(self, code: grpc.StatusCode) -> None:
        """See grpc.ServicerContext."""
        self.code = code

    def set_details(self, details: str) -> None:
        """See grpc.ServicerContext."""

    def set_trailing_metadata(self, metadata: Any) -> None:
        """See grpc.ServicerContext."""


@dataclass
class Room:
    """A feed that a test drives, and who watches it."""

    world: World = field(default_factory=lambda: World([rule(1), rule(2)]))
    keys: list[Any] | None = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.feed.refresh()
        self.watchers = Watchers(self.world.feed, lambda: self.keys, MOST)

    def open(self, stream: Stream, point: api.ResumePoint | None = None) -> None:
        """Let a stream in."""
        request = api.WatchRevocationsRequest(resume_point=point)
        self.watchers.open(request, cast("grpc.ServicerContext", stream), stream.send)

    def seated(self, count: int = 1) -> list[Stream]:
        """Return streams that have got everything there is so far."""
        streams = [Stream() for _ in range(count)]
        for stream in streams:
            self.open(stream)
            assert stream.next().part == api.WATCH_PART_SNAPSHOT_END
            assert not stream.next().revocations
        self.settle()
        return streams

    def unread(self, count: int, address: str = Stream.address) -> list[Stream]:
        """Return streams in each of which the very first write has begun and nobody reads."""
        streams = [Stream(address) for _ in range(count)]
        for stream in streams:
            stream.is_read.clear()
            self.open(stream)
            assert stream.writing.wait(SECONDS)
        return streams

    def require_no_threads(self) -> None:
        """Fail unless all writers end."""
        for thread in (*self.watchers._newcomers.threads, *self.watchers._established.threads):
            thread.join(SECONDS)
            assert not thread.is_alive()

    def settle(self) -> None:
        """Wait until no thread has anything to write, except for who does not read."""

        def is_settled() -> bool:
            return not any(w.is_busy and w.send.__self__.is_read.is_set() for w in self.watchers._open)  # type: ignore[attr-defined]

        wait_until(is_settled, SECONDS, "all writes to be over")

    def revoke(self, seq: int) -> None:
        """Let one rule arrive, and everybody know."""
        self.world.rows.append(rule(seq))
        self.world.look()
        self.watchers.announce()

    def stalled(self, count: int) -> list[Stream]:
        """Return streams in each of which a write has begun that nobody reads."""
        streams = self.seated(count)
        for stream in streams:
            stream.is_read.clear()
            stream.writing.clear()
        self.world.uptime += HEARTBEAT_SECONDS
        self.watchers.announce()
        for stream in streams:
            assert stream.writing.wait(SECONDS)
        return streams


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    for watcher in list(room.watchers._open):
        watcher.context.cancel()
    room.watchers.close()
    room.require_no_threads()


def numbers(answer: api.WatchRevocationsResponse) -> list[int]:
    return [each.seq for each in answer.revocations]


def test_nobody_hears_anything_before_there_is_something_or_a_heartbeat_is_due(room: Room) -> None:
    (stream,) = room.seated()
    room.world.uptime += SOONEST_HEARTBEAT_SECONDS - 0.01
    room.watchers.announce()
    assert not room.watchers._open.pop().is_busy, "no write was begun"
    (stream,) = room.seated()
    room.world.uptime += HEARTBEAT_SECONDS
    room.watchers.announce()
    assert numbers(stream.next()) == []


def test_those_who_heard_the_same_at_once_are_not_told_at_once_that_there_is_no_more(room: Room) -> None:
    streams = room.seated(40)
    room.revoke(7)
    for stream in streams:
        stream.next()
    room.world.uptime += (SOONEST_HEARTBEAT_SECONDS + HEARTBEAT_SECONDS) / 2
    with room.watchers.lock:
        due = sum(room.watchers.is_due(watcher) for watcher in room.watchers._open)
    assert 0 < due < len(streams)


def test_a_rule_is_announced_to_everybody_in_one_and_the_same_message(room: Room) -> None:
    streams = room.seated(3)
    room.revoke(7)
    answers = [stream.next() for stream in streams]
    assert [numbers(answer) for answer in answers] == [[7]] * 3
    assert len({id(answer) for answer in answers}) == 1


def test_what_arrives_during_a_write_follows_it_at_once_and_together(room: Room) -> None:
    (stream,) = room.stalled(1)
    room.revoke(7)
    room.revoke(8)
    stream.is_read.set()
    assert numbers(stream.next()) == []
    assert numbers(stream.next()) == [7, 8]


def test_a_new_key_set_is_sent_once_and_to_everybody(room: Room) -> None:
    streams = room.seated(2)
    room.keys = None
    room.watchers.announce()
    assert [stream.next().key_set.is_shared_secret for stream in streams] == [True, True]
    room.settle()
    room.revoke(7)
    assert [stream.next().HasField("key_set") for stream in streams] == [False, False]


def test_what_arrives_while_a_snapshot_is_sent_follows_it(room: Room) -> None:
    room.world.rows += crowd(100, 1200)
    room.world.look()
    stream = Stream()
    stream.is_read.clear()
    room.open(stream)
    assert stream.writing.wait(SECONDS)
    room.revoke(5000)
    stream.is_read.set()
    parts = [stream.next() for _ in range(3)]
    assert [len(part.revocations) for part in parts] == [500, 500, 202]
    assert 5000 not in [seq for part in parts for seq in numbers(part)]
    assert numbers(stream.next()) == [5000]


def test_s5_who_does_not_read_is_dropped_after_some_seconds_and_not_before(room: Room) -> None:
    (stream,) = room.stalled(1)
    room.world.uptime += BLOCKED_SECONDS
    room.watchers.announce()
    assert not stream.cancelled.is_set()
    room.world.uptime += 0.01
    room.watchers.announce()
    assert stream.cancelled.wait(SECONDS)
    assert len(room.watchers) == 0


def test_s5_while_others_wait_for_a_thread_patience_is_short(room: Room) -> None:
    stalled = room.stalled(NEWCOMER_WRITERS)
    waiting = Stream()
    room.open(waiting)
    room.world.uptime += IMPATIENT_SECONDS - 0.01
    room.watchers.announce()
    assert not any(stream.cancelled.is_set() for stream in stalled)
    room.world.uptime += 0.02
    room.watchers.announce()
    assert waiting.next().part == api.WATCH_PART_SNAPSHOT_END
    assert all(stream.cancelled.is_set() for stream in stalled)
    assert len(room.watchers) == 1


def test_s5_who_has_been_reading_for_a_while_never_waits_behind_newcomers(room: Room) -> None:
    readers = room.seated(3)
    room.world.uptime += NEWCOMER_SECONDS
    room.watchers.announce()
    assert [numbers(stream.next()) for stream in readers] == [[]] * 3
    room.settle()
    never_read = room.unread(NEWCOMER_WRITERS)
    for _ in range(NEWCOMER_WRITERS):
        room.open(Stream())
    room.revoke(7)
    assert [numbers(stream.next()) for stream in readers] == [[7]] * 3
    assert not any(stream.cancelled.is_set() for stream in never_read)


def test_s5_of_those_who_have_never_read_the_fullest_connection_of_a_host_gives_way(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNREAD_PER_HOST", 5)
    mine, his = "ipv4:10.0.0.1:1", "ipv4:10.0.0.1:2"
    hers = room.unread(1, "ipv4:10.0.0.1:3")
    many = room.unread(4, mine)
    with pytest.raises(Overloaded):
        room.open(Stream(mine))
    assert not any(stream.cancelled.is_set() for stream in (*hers, *many))
    room.unread(1, "ipv6:%5B::2%5D:1")
    assert not any(stream.cancelled.is_set() for stream in (*hers, *many)), "another host has room of its own"
    room.open(reader := Stream(his))
    assert reader.next().part == api.WATCH_PART_SNAPSHOT_END
    assert [stream.cancelled.is_set() for stream in (*hers, *many)] == [False, True, False, False, False]
    room.unread(1, his)
    assert not many[1].cancelled.is_set(), "who has read does not count"


def test_s5_all_threads_blocked_with_nobody_waiting_is_no_reason_to_hurry(room: Room) -> None:
    stalled = room.stalled(NEWCOMER_WRITERS)
    room.world.uptime += IMPATIENT_SECONDS * 2
    room.watchers.announce()
    assert not any(stream.cancelled.is_set() for stream in stalled)


def test_s5_who_lags_too_far_behind_is_dropped_to_begin_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    (stream,) = room.stalled(1)
    monkeypatch.setattr("authservice.usecases.trust.revocation_feed.KEPT", 10)
    for first in (100, 200):
        room.world.rows += crowd(first, 15)
        room.world.look()
    stream.is_read.set()
    assert stream.cancelled.wait(SECONDS)
    wait_until(lambda: len(room.watchers) == 0, SECONDS, "it to be forgotten")


def test_who_hung_up_is_forgotten_whenever_that_was(room: Room) -> None:
    room.open(Stream(is_open=False))
    assert len(room.watchers) == 0
    (stream,) = room.seated()
    stream.on_end()
    assert len(room.watchers) == 0


def test_a_stream_that_fails_costs_no_thread(room: Room) -> None:
    broken = [Stream(error=RuntimeError("broken")) for _ in range(2 * NEWCOMER_WRITERS)]
    for stream in broken:
        room.open(stream)
    assert all(stream.cancelled.wait(SECONDS) for stream in broken)
    wait_until(lambda: len(room.watchers) == 0, SECONDS, "them to be forgotten")
    room.seated()


def test_no_more_are_admitted_than_there_is_room_for(room: Room) -> None:
    streams = room.seated(MOST)
    with pytest.raises(Overloaded):
        room.open(Stream())
    streams[0].on_end()
    room.open(Stream())


def test_s5_where_all_places_are_taken_who_has_many_gives_way_to_who_has_few(room: Room) -> None:
    greedy = [Stream(f"ipv4:10.0.0.1:{1 + number % 3}") for number in range(MOST)]
    for stream in greedy:
        room.open(stream)
    guard = Stream("ipv4:10.0.0.1:9")
    room.open(guard)
    assert guard.next().part == api.WATCH_PART_SNAPSHOT_END
    assert greedy[0].cancelled.is_set(), "the longest-standing of the fullest connection"
    assert sum(stream.cancelled.is_set() for stream in greedy) == 1
    assert len(room.watchers) == MOST


def test_s5_where_one_host_has_a_place_for_each_of_its_connections_another_host_still_gets_in(room: Room) -> None:
    greedy = [Stream(f"ipv4:10.0.0.1:{number}") for number in range(MOST)]
    for stream in greedy:
        room.open(stream)
    with pytest.raises(Overloaded):
        room.open(Stream("ipv4:10.0.0.1:9999"))
    room.open(Stream("ipv4:10.0.0.2:1"))
    assert [stream.cancelled.is_set() for stream in greedy] == [True] + [False] * (MOST - 1)


def test_a_resume_point_that_is_unknown_takes_no_place(room: Room) -> None:
    with pytest.raises(ResumePointUnknown):
        room.open(Stream(), api.ResumePoint(history="another", seq=1))
    assert len(room.watchers) == 0


def test_who_resumes_with_much_to_catch_up_on_gets_a_snapshot(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.world.rows += crowd(100, 11)
    room.world.look()
    monkeypatch.setattr(module, "KEPT", 10)
    little, much = Stream(), Stream()
    history = {each.seq: room.world.feed._history(each) for each in room.world.rows}
    room.open(little, api.ResumePoint(history=history[100], seq=100))
    room.open(much, api.ResumePoint(history=history[2], seq=2))
    first = little.next()
    assert (first.part, numbers(first)) == (api.WATCH_PART_DELTA, list(range(101, 111)))
    second = much.next()
    assert (second.part, numbers(second)) == (api.WATCH_PART_SNAPSHOT_END, [1, 2, *range(100, 111)])


def test_closing_ends_every_stream_and_every_thread_and_lets_nobody_in() -> None:
    room = Room()
    streams = room.seated(3)
    room.watchers.close()
    room.watchers.close()
    assert [stream.got.get(timeout=SECONDS) for stream in streams] == [None] * 3
    assert [stream.code for stream in streams] == [grpc.StatusCode.UNAVAILABLE] * 3
    with pytest.raises(ShuttingDown):
        room.open(Stream())
    room.require_no_threads()
