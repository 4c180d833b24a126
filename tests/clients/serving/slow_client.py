"""Callers who send no request: through grpc, which tells how the call ends, and by hand, a byte at a time."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc

from tests.clients.eventually import SOON
from tests.clients.guarded import begin, path
from tests.rpc.rude_client import DATA, END_HEADERS, HEADERS, RudeClient, frame, text


class Unsent:
    """The messages of a call, as late as a test says. Without any, only headers are sent."""

    def __init__(self) -> None:
        self._said = threading.Event()
        self._messages: tuple[bytes, ...] = ()

    def say(self, *messages: bytes) -> None:
        """Send messages, and no more after these."""
        self._messages = messages
        self._said.set()

    def __iter__(self) -> Iterator[bytes]:
        self._said.wait(SOON)
        yield from self._messages


def open_call(channel: grpc.Channel, kind: str, unsent: Unsent, name: str | None = None, **options: Any) -> Any:
    """Begin a call of a method that takes one request, as if it took many: the same on the wire."""
    kind_of_caller = kind.replace("unary_", "stream_", 1)
    return begin(channel, kind_of_caller, name or path(kind), unsent, **options)


class SlowClient(RudeClient):
    """One connection, on which calls are begun and not gone on with."""

    def open(self, method: str, token: str) -> int:
        """Send the headers of a call, and return its number."""
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": method,
            ":authority": "localhost",
            "te": "trailers",
            "content-type": "application/grpc",
            "authorization": f"Bearer {token}",
        }
        headers = b"".join(b"\0" + text(name) + text(value) for name, value in fields.items())
        with self._lock:
            number = next(self._numbers)
            self._socket.sendall(frame(HEADERS, END_HEADERS, number, headers))
        return number

    def send(self, number: int, part: bytes) -> None:
        """Send a part of what a call has to say."""
        with self._lock:
            self._socket.sendall(frame(DATA, 0, number, part))
