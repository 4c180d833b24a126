"""A load generator for unary RPCs that costs a small part of what any grpc client costs.

Frames are written by hand (RFC 9113), headers without a dynamic table (RFC 7541 section 6.2.2), so that one process
asks faster than a grpc server answers, with a different request each time. An answer counts as good if it carried a
message: grpc sends errors as trailers only.
"""

import selectors
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing.synchronize import Event
from typing import TypeAlias

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_FIRST_WINDOW = 65535
_LARGEST_WINDOW = 2**31 - 1


Request: TypeAlias = tuple[bytes, str | None]
"""A serialized message, and the bearer token to send with it."""


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
    received: bytearray = field(default_factory=bytearray)
    started: dict[int, float] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Flood:
    """Calls one method for a time, `in_flight` calls at once on each of `connections` connections.

    `requests` holds (serialized message, bearer token or None), taken in turn; each once if `once` is set.
    """

    port: int
    method: str
    requests: Sequence[Request]
    connections: int = 4
    in_flight: int = 16
    once: bool = False

    def run(self, seconds: float) -> Outcome:
        """Call until `seconds` have passed or the requests are used up, and wait for the answers under way."""
        source = iter(self.requests) if self.once else cycle(self.requests)
        selector = selectors.DefaultSelector()
        latencies: list[float] = []
        failed = 0
        begin = time.perf_counter()
        end = begin + seconds
        for _ in range(self.connections):
            connection = _connect(self.port)
            selector.register(connection.sock, selectors.EVENT_READ, connection)
            self._send(connection, source, self.in_flight)
        open_calls = True
        while open_calls:
            for key, _ in selector.select(1.0):
                connection = key.data
                done = _receive(connection)
                now = time.perf_counter()
                for stream in done:
                    started = connection.started.pop(stream)
                    if stream in connection.answered:
                        connection.answered.discard(stream)
                        latencies.append(now - started)
                    else:
                        failed += 1
                if now < end:
                    self._send(connection, source, len(done))
            open_calls = any(key.data.started for key in selector.get_map().values())
            if time.perf_counter() > end + 15:
                break
        elapsed = time.perf_counter() - begin
        for key in list(selector.get_map().values()):
            failed += len(key.data.started)
            key.data.sock.close()
        return Outcome(elapsed, latencies, failed)

    def _send(self, connection: _Connection, source: Iterator[Request], count: int) -> None:
        frames = []
        now = time.perf_counter()
        for _ in range(count):
            request = next(source, None)
            if request is None:
                break
            message, token = request
            body = b"\0" + struct.pack(">I", len(message)) + message
            stream = connection.next_stream
            connection.next_stream += 2
            connection.window -= len(body)
            if connection.window < 0:
                raise RuntimeError("too many bytes in flight for one connection; use more connections")
            block = self._header_block(token)
            frames += [_frame(_HEADERS, _END_HEADERS, stream, block), _frame(_DATA, _END_STREAM, stream, body)]
            connection.started[stream] = now
        if frames:
            connection.sock.sendall(b"".join(frames))

    def _header_block(self, token: str | None) -> bytes:
        # Indexed: POST, http. Then literals without indexing; 4, 1, 31 name :path, :authority, content-type.
        block = b"\x83\x86" + _literal(4, self.method) + _literal(1, "localhost") + _literal(31, "application/grpc")
        block += b"\0" + _text("te") + _text("trailers")
        return block + (b"\0" + _text("authorization") + _text(f"Bearer {token}") if token else b"")


def flood_until(port: int, method: str, requests: Sequence[Request], stop: Event) -> None:
    """Call without a pause until the event is set. For a process of its own."""
    while not stop.is_set():
        Flood(port, method, requests, connections=2).run(0.5)


def _connect(port: int) -> _Connection:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    settings = struct.pack(">HI", 4, _LARGEST_WINDOW)
    grow = struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW)
    sock.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, grow))
    return _Connection(sock)


def _receive(connection: _Connection) -> list[int]:
    """Take in what has arrived and return the streams that ended."""
    data = connection.sock.recv(1 << 18)
    if not data:
        raise ConnectionError("the server closed the connection")
    buffer = connection.received
    buffer += data
    done, position = [], 0
    while len(buffer) - position >= 9:
        length = int.from_bytes(buffer[position : position + 3])
        if len(buffer) - position < 9 + length:
            break
        kind, flags = buffer[position + 3], buffer[position + 4]
        stream = int.from_bytes(buffer[position + 5 : position + 9])
        payload = buffer[position + 9 : position + 9 + length]
        position += 9 + length
        if kind == _DATA and length:
            connection.answered.add(stream)
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            done.append(stream)
        else:
            _answer(connection, kind, flags, stream, bytes(payload))
    del buffer[:position]
    return done


def _answer(connection: _Connection, kind: int, flags: int, stream: int, payload: bytes) -> None:
    if kind == _SETTINGS and not flags & _ACK:
        connection.sock.sendall(_frame(_SETTINGS, _ACK, 0, b""))
    elif kind == _PING and not flags & _ACK:
        connection.sock.sendall(_frame(_PING, _ACK, 0, payload))
    elif kind == _WINDOW_UPDATE and stream == 0:
        connection.window += int.from_bytes(payload)
    elif kind == _GOAWAY:
        raise ConnectionError(f"the server sent GOAWAY: {payload[8:]!r}")


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def _literal(name_index: int, value: str) -> bytes:
    # Four bits of the first byte hold the index; larger ones go on in the next (RFC 7541 section 5.1).
    first = bytes((name_index,)) if name_index < 15 else bytes((15, name_index - 15))
    return first + _text(value)


def _text(value: str) -> bytes:
    data = value.encode()
    length = bytes((len(data),)) if len(data) < 127 else _long_length(len(data))
    return length + data


def _long_length(length: int) -> bytes:
    rest, encoded = length - 127, bytearray((127,))
    while rest >= 128:
        encoded.append(rest % 128 + 128)
        rest //= 128
    encoded.append(rest)
    return bytes(encoded)
