"""In which order streams are written to, and that nothing waits for a write."""

import threading
from collections.abc import Iterator
from typing import cast

import grpc
import pytest

from authservice.transport.streams.writers import BLOCKED_SECONDS, OldestFirst, Stream, Turns, Writers
from tests.faults.processes import wait_until

SECONDS = 10.0
"""How long a test waits before it fails."""
ONE, ANOTHER, AFAR = "ipv4:10.0.0.1:1000", "ipv4:10.0.0.1:2000", "ipv6:%5Bfd00::1%5D:1000"


class Context:
    """What grpc gives a handler."""

    def __init__(self, peer: str) -> None:
        self._peer = peer

    def peer(self) -> str:
        """See grpc.ServicerContext."""
        return self._peer


class Desk:
    """One writer, which waits for each stream until the test lets it go on.

    It waits while it writes, and for a stream named "slow to read" before that. One named "over" has nothing to hear.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.written: list[str] = []
        self.dropped: list[str] = []
        self.go_on = threading.Event()
        self.reading = threading.Event()
        self._names: dict[Stream, str] = {}
        self.writers = Writers("writer", 1, Turns[Stream](), self._read, self._write, self._drop, lambda: self.now)

    def put(self, name: str, peer: str) -> None:
        """Let a stream stand in line."""
        stream = Stream(cast("grpc.ServicerContext", Context(peer)), lambda _: None)
        self._names[stream] = name
        self.writers.put(stream)

    def begin(self) -> None:
        """Let the writer be busy with a stream."""
        self.put("first", "ipv4:10.9.9.9:1")
        wait_until(lambda: self.written == ["first"], SECONDS, "the writer to begin")

    def _read(self, stream: Stream) -> str | None:
        if self._names[stream] == "slow to read":
            self.reading.set()
            assert self.go_on.wait(SECONDS)
        return None if self._names[stream] == "over" else "news"

    def _write(self, stream: Stream, message: str) -> None:
        assert message == "news"
        self.written.append(self._names[stream])
        assert self.go_on.wait(SECONDS)
        if self._names[stream] == "broken":
            raise RuntimeError

    def _drop(self, stream: Stream) -> None:
        self.dropped.append(self._names[stream])
        self.go_on.set()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.go_on.set()
    desk.writers.close()
    for thread in desk.writers.threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_hosts_take_turns_and_so_do_the_connections_of_a_host(desk: Desk) -> None:
    desk.begin()
    for number in range(1, 5):
        desk.put(f"one {number}", ONE)
    desk.put("another", ANOTHER)
    desk.put("afar 1", AFAR)
    desk.put("afar 2", AFAR)
    desk.go_on.set()
    wait_until(lambda: len(desk.written) == 8, SECONDS, "all to be written")
    assert desk.written[1:] == ["one 1", "afar 1", "another", "afar 2", "one 2", "one 3", "one 4"]


def test_the_oldest_goes_first_whenever_it_came_to_the_line() -> None:
    line = OldestFirst[Stream]()
    old, young, youngest = (Stream(cast("grpc.ServicerContext", Context(ONE)), lambda _: None) for _ in range(3))
    for stream in (young, youngest, old):
        line.put(stream)
    assert [line.take() for _ in range(3)] == [old, young, youngest]
    assert len(line) == 0


def test_who_blocks_alone_has_long(desk: Desk) -> None:
    desk.begin()
    desk.now += BLOCKED_SECONDS
    desk.writers.drop_blocked()
    assert desk.dropped == []
    desk.now += 0.01
    desk.writers.drop_blocked()
    assert desk.dropped == ["first"]


def test_nobody_is_dropped_while_the_database_is_slow(desk: Desk) -> None:
    desk.put("slow to read", ONE)
    assert desk.reading.wait(SECONDS)
    desk.put("next", ONE)
    desk.now += 100 * BLOCKED_SECONDS
    desk.writers.drop_blocked()
    desk.go_on.set()
    wait_until(lambda: desk.written == ["slow to read", "next"], SECONDS, "both")
    assert desk.dropped == []


def test_who_has_nothing_to_hear_is_not_written_to(desk: Desk) -> None:
    desk.go_on.set()
    desk.put("over", ONE)
    desk.put("next", ONE)
    wait_until(lambda: desk.written == ["next"], SECONDS, "the next")


def test_a_stream_that_fails_is_dropped_and_the_next_one_written(desk: Desk) -> None:
    desk.go_on.set()
    desk.put("broken", ONE)
    desk.put("next", ONE)
    wait_until(lambda: desk.written == ["broken", "next"], SECONDS, "both")
    assert desk.dropped == ["broken"]


def test_closing_ends_the_threads_and_leaves_the_line(desk: Desk) -> None:
    desk.begin()
    desk.put("never", ONE)
    desk.writers.close()
    desk.go_on.set()
    for thread in desk.writers.threads:
        thread.join(SECONDS)
    assert desk.written == ["first"]
