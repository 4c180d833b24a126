"""The HTTP/2 frames of unary RPCs, written by hand (RFC 9113).

Headers do without a dynamic table (RFC 7541 section 6.2.2), so that all but the stream's number is known beforehand.
"""

from collections.abc import Iterable
from typing import TypeAlias

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1

Request: TypeAlias = tuple[bytes, str | None]
"""A serialized message, and the bearer token to send with it."""

Frames: TypeAlias = tuple[bytes, bytes, bytes]
"""The frames of one call: what stands before, between and behind the two places where the stream's number goes."""


def encoded(method: str, requests: Iterable[Request], timeout: int | None = None) -> list[Frames]:
    """Return the frames of calls to a method, given as `/package.Service/Method`. They may take `timeout` seconds."""
    # Indexed: POST, http. Then literals without indexing; 4, 1, 31 name :path, :authority, content-type.
    head = b"\x83\x86" + _literal(4, method) + _literal(1, "localhost") + _literal(31, "application/grpc")
    head += b"\0" + _text("te") + _text("trailers")
    if timeout:
        head += b"\0" + _text("grpc-timeout") + _text(f"{timeout}S")
    authorization = b"\0" + _text("authorization")
    calls = []
    for message, token in requests:
        block = head + authorization + _text(f"Bearer {token}") if token else head
        body = b"\0" + len(message).to_bytes(4) + message
        between = block + _start(DATA, END_STREAM, len(body))
        calls.append((_start(HEADERS, END_HEADERS, len(block)), between, body))
    return calls


def frame(kind: int, flags: int, payload: bytes) -> bytes:
    """Return a frame about the whole connection."""
    return _start(kind, flags, len(payload)) + bytes(4) + payload


def _start(kind: int, flags: int, length: int) -> bytes:
    """Return a frame's header up to the stream's number."""
    return length.to_bytes(3) + bytes((kind, flags))


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
