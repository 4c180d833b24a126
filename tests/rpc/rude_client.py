"""A client that speaks HTTP/2 by hand, to do what no grpc library does: open calls, and let nobody write to it.

RFC 9113: the frames are in section 6, the preface in 3.4. Header fields are literals without indexing (RFC 7541,
6.2.2), so nothing needs a table.
"""

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE = 4
INTERNAL_ERROR, CANCEL, ENHANCE_YOUR_CALM = 2, 8, 11
ANSWER_SECONDS = 10
LONG = 3900
"""Bytes of a value that just fits into the table that a server has unless it says otherwise (4,096 bytes)."""
WINDOW = 65535
"""What a client has that says nothing about it."""


class RudeClient:
    """One connection. `ended` are the calls that the server has ended, `heard` how many frames of data came.

    `farewell` is why the server has taken leave of the connection, or None.

    Args:
        window: how many bytes the server may send per call. With 0 it waits for ever.
        on_end: called with each call that ends, in the thread that reads.
        host: the loopback address that it comes from.
        acknowledges: whether it takes note of the server's SETTINGS. Until then no limit of the server's holds.
    """

    def __init__(
        self,
        port: int,
        window: int = 0,
        on_end: Callable[[int], None] = lambda call: None,
        host: str = "127.0.0.1",
        *,
        acknowledges: bool = True,
    ) -> None:
        self.ended: set[int] = set()
        self._acknowledges = acknowledges
        self._has_said_it = False
        self.heard = 0
        self.farewell: str | None = None
        self._on_end = on_end
        self._answered = threading.Event()
        self._numbers = itertools.count(1, 2)
        self._lock = threading.Lock()
        self._socket = socket.create_connection(("127.0.0.1", port), source_address=(host, 0))
        self._socket.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, window)))
        self._thread = threading.Thread(target=self._read, name="rude", daemon=True)
        self._thread.start()

    def call(self, method: str, request: bytes = b"") -> int:
        """Begin a call with one request message, and return its number."""
        message = b"\0" + struct.pack(">I", len(request)) + request
        with self._lock:
            number = next(self._numbers)
            self._socket.sendall(_headers(method, number) + frame(DATA, END_STREAM, number, message))
        return number

    def begin(self, method: str, *parts: bytes) -> int:
        """Begin a call with some bytes of its request, or none, and return its number."""
        with self._lock:
            number = next(self._numbers)
            frames = [frame(DATA, 0, number, part) for part in parts]
            self._socket.sendall(_headers(method, number) + b"".join(frames))
        return number

    def open_and_reset(self, method: str, times: int) -> None:
        """Open so many calls and take each back at once."""
        cancel = struct.pack(">I", CANCEL)
        with self._lock, contextlib.suppress(OSError):  # The server may hang up.
            for _ in range(times):
                number = next(self._numbers)
                self._socket.sendall(_headers(method, number) + frame(RESET, 0, number, cancel))

    def call_at_length(self, method: str, times: int) -> int:
        """Begin a call whose metadata has one long value so many times, and return its number.

        The value is sent once; then a byte stands for it (RFC 7541, 6.1: the latest entry of the table has number 62).
        """
        with self._lock:
            number = next(self._numbers)
            said = b"" if self._has_said_it else b"\x40" + text("x-long") + text("v" * LONG)
            self._has_said_it = True
            block = _fields(method) + said + bytes([0x80 | 62]) * times
            frames = frame(HEADERS, END_HEADERS, number, block) + frame(DATA, END_STREAM, number, bytes(5))
            self._socket.sendall(frames)
        return number

    def send(self, number: int, part: bytes) -> None:
        """Send more bytes of a request. Does nothing once the server has hung up."""
        with self._lock, contextlib.suppress(OSError):
            self._socket.sendall(frame(DATA, 0, number, part))

    def go_away(self) -> None:
        """Take leave as if the server had made a mistake, and wait until it has read that."""
        with self._lock:
            self._socket.sendall(frame(GOAWAY, 0, 0, struct.pack(">II", 0, INTERNAL_ERROR)))
        self.await_server()

    def await_server(self) -> None:
        """Return when the server has read everything so far: it answers in order (RFC 9113, 6.7)."""
        self._answered.clear()
        with self._lock:
            self._socket.sendall(frame(PING, 0, 0, b"are read"))
        assert self._answered.wait(ANSWER_SECONDS)

    def ping(self, times: int) -> None:
        """Send so many pings at once."""
        with self._lock:
            self._socket.sendall(frame(PING, 0, 0, b"anyone? ") * times)

    def close(self) -> None:
        """Hang up without a word."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                self._take(*self._next_frame())

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if not flags & ACK and (kind == PING or (kind == SETTINGS and self._acknowledges)):
            with self._lock:
                self._socket.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
        if kind == PING and flags & ACK:
            self._answered.set()
        if kind == GOAWAY:
            self.farewell = payload[8:].decode()  # after the last call and the code
        self.heard += kind == DATA
        is_end = kind == RESET or (kind in {DATA, HEADERS} and flags & END_STREAM)
        if is_end and number not in self.ended:  # Both may come.
            self.ended.add(number)
            self._on_end(number)

    def _next_frame(self) -> tuple[int, int, int, bytes]:
        head = self._exactly(9)
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        return kind, flags, int.from_bytes(head[5:], "big") & 0x7FFFFFFF, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            part = self._socket.recv(count - len(taken))
            if not part:
                raise EOFError
            taken += part
        return taken


@contextlib.contextmanager
def rude_client(port: int, window: int = 0, host: str = "127.0.0.1") -> Iterator[RudeClient]:
    """Yield a connection, and hang up."""
    with contextlib.closing(RudeClient(port, window, host=host)) as client:
        yield client


def _headers(method: str, number: int) -> bytes:
    return frame(HEADERS, END_HEADERS, number, _fields(method))


def _fields(method: str) -> bytes:
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    return b"".join(b"\0" + text(name) + text(value) for name, value in fields.items())


def frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", number) + payload


def text(literal: str) -> bytes:
    """Return a string literal. The length is an integer with a prefix of seven bits (RFC 7541, 5.1 and 5.2)."""
    encoded = literal.encode()
    if len(encoded) < 127:
        return bytes([len(encoded)]) + encoded
    left, length = len(encoded) - 127, bytearray([127])
    while left >= 128:
        length.append(left % 128 + 128)
        left //= 128
    return bytes([*length, left]) + encoded
