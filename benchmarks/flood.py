"""A load generator for unary RPCs that costs a small part of what any grpc client costs.

One process asks faster than a grpc server answers, with a different request each time. An answer counts as good if it
carried a message: grpc sends errors as trailers only.
"""

import selectors
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from multiprocessing.connection import Connection as Pipe

from benchmarks.frames import (
    ACK,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frames,
    frame,
)

PATIENCE_SECONDS = 60.0
"""A server that sends nothing for so long has failed all calls under way."""
BURST_SECONDS = 0.5
_FIRST_WINDOW = 65535
_LARGEST_WINDOW = 2**31 - 1
_FRAME_HEADER = struct.Struct(">BHBBI")
"""Upper and lower part of the length, kind, flags, stream."""


@dataclass(slots=True)
class Outcome:
    """What one flood achieved. `latencies` are seconds, of good answers; `seconds` is how long it took."""

    seconds: float
    latencies: list[float]
    failed: int

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the latency in milliseconds that this share of the answers did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else float("nan")


@dataclass(slots=True)
class _Connection:
    """One HTTP/2 connection. `window` is how many bytes of DATA the server still takes."""

    sock: socket.socket
    next_stream: int = 1
    window: int = _FIRST_WINDOW
    rest: bytes = b""
    started: dict[int, float] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Flood:
    """Makes the calls of `source` one after another, `in_flight` at once on each of `connections` connections."""

    port: int
    source: Iterator[Frames]
    connections: int = 4
    in_flight: int = 16

    def run(self, seconds: float) -> Outcome:
        """Call until `seconds` have passed or the source is used up, and wait for the answers under way."""
        latencies: list[float] = []
        failed = 0
        begin = time.perf_counter()
        end = begin + seconds
        with selectors.DefaultSelector() as selector:
            connections = [_connect(self.port) for _ in range(self.connections)]
            for connection in connections:
                selector.register(connection.sock, selectors.EVENT_READ, connection)
                self._fill(connection)
            while any(connection.started for connection in connections):
                ready = selector.select(PATIENCE_SECONDS)
                if not ready:
                    break
                for key, _ in ready:
                    failed += _receive(key.data, latencies)
                    if time.perf_counter() < end:
                        self._fill(key.data)
        elapsed = time.perf_counter() - begin
        for connection in connections:
            failed += len(connection.started)
            connection.sock.close()
        return Outcome(elapsed, latencies, failed)

    def _fill(self, connection: _Connection) -> None:
        """Bring a connection to as many calls in flight as it should have."""
        calls = []
        now = time.perf_counter()
        for before, between, behind in islice(self.source, self.in_flight - len(connection.started)):
            stream = connection.next_stream
            connection.next_stream += 2
            connection.window -= len(behind)
            connection.started[stream] = now
            calls.append(stream.to_bytes(4).join((before, between, behind)))
        if connection.window < 0:
            raise RuntimeError("too many bytes in flight for one connection; use more connections")
        if calls:
            connection.sock.sendall(b"".join(calls))


def flood_with(port: int, calls: Sequence[Frames], connections: int, in_flight: int, seconds: float) -> Outcome:
    """Make these calls in turn for a time. For a process of its own."""
    return Flood(port, cycle(calls), connections, in_flight).run(seconds)


def flood_until_told(port: int, calls: Sequence[Frames], pipe: Pipe, burst: float) -> None:
    """Call without a pause until something comes through the pipe. For a process of its own.

    Looks at the pipe after every `burst`, in seconds. Says through the pipe when it begins, and in the end how many
    good answers there were.
    """
    source = cycle(calls)
    answers = 0
    pipe.send("begins")
    while not pipe.poll():
        answers += len(Flood(port, source, connections=2).run(burst).latencies)
    pipe.send(answers)


def _connect(port: int) -> _Connection:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    settings = struct.pack(">HI", 4, _LARGEST_WINDOW)
    grow = struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW)
    sock.sendall(PREFACE + frame(SETTINGS, 0, settings) + frame(WINDOW_UPDATE, 0, grow))
    return _Connection(sock)


def _receive(connection: _Connection, latencies: list[float]) -> int:
    """Take in what has arrived, note the latencies of calls that were answered, return how many ended otherwise."""
    arrived = connection.sock.recv(1 << 18)
    if not arrived:
        raise ConnectionError("the server closed the connection")
    now = time.perf_counter()
    data = connection.rest + arrived
    failed, position, size = 0, 0, len(data)
    while size - position >= _FRAME_HEADER.size:
        upper, lower, kind, flags, stream = _FRAME_HEADER.unpack_from(data, position)
        payload = position + _FRAME_HEADER.size
        end = payload + (upper << 16 | lower)
        if end > size:
            break
        if kind == DATA and end > payload:
            connection.answered.add(stream)
        if (kind in (DATA, HEADERS) and flags & END_STREAM) or kind == RST_STREAM:
            failed += _end(connection, stream, now, latencies)
        elif kind > RST_STREAM:
            _answer(connection, kind, flags, stream, data[payload:end])
        position = end
    connection.rest = data[position:]
    return failed


def _end(connection: _Connection, stream: int, now: float, latencies: list[float]) -> bool:
    """Note that a call has ended, and tell whether it failed."""
    started = connection.started.pop(stream, None)
    if started is None:
        return False  # A reset behind the end of a call says nothing new.
    if stream not in connection.answered:
        return True
    connection.answered.discard(stream)
    latencies.append(now - started)
    return False


def _answer(connection: _Connection, kind: int, flags: int, stream: int, payload: bytes) -> None:
    if kind == SETTINGS and not flags & ACK:
        connection.sock.sendall(frame(SETTINGS, ACK, b""))
    elif kind == PING and not flags & ACK:
        connection.sock.sendall(frame(PING, ACK, payload))
    elif kind == WINDOW_UPDATE and stream == 0:
        connection.window += int.from_bytes(payload)
    elif kind == GOAWAY:
        raise ConnectionError(f"the server sent GOAWAY: {payload[8:]!r}")
