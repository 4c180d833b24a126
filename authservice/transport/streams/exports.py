"""Exports of accounts, and what is written to them; see open_streams.py.

Each line is read from the database when it is its turn, so that one whose client does not read costs nothing but its
place.
"""

import time
from collections.abc import Iterator

import grpc
from authapi.v1 import account_service_pb2 as api

from authservice.transport.streams.open_streams import OpenStreams
from authservice.transport.streams.writers import Send, Stream, Turns, Writers

WRITERS = 2
MOST = 64
"""How many there may be in one process. They last for moments."""


class _Export(Stream):
    """One export. `lines` is what is still to be said."""

    def __init__(self, context: grpc.ServicerContext, send: Send, lines: Iterator[str]) -> None:
        super().__init__(context, send)
        self.lines = lines


class Exports(OpenStreams[_Export]):
    """All exports under way in one process. Lives as long as the server; safe for many threads."""

    def __init__(self) -> None:
        super().__init__(time.monotonic)
        self._crew = self.hire("export", WRITERS, Turns[_Export]())

    def open(self, lines: Iterator[str], context: grpc.ServicerContext, send: Send) -> None:
        """Take a stream. Raises Overloaded, ShuttingDown."""
        self.take(_Export(context, send, lines))

    @property
    def most(self) -> int:
        return MOST

    def crew_of(self, stream: _Export) -> Writers[_Export]:
        return self._crew

    def begin(self, stream: _Export) -> None:
        """Prepare nothing."""

    def is_due(self, stream: _Export) -> bool:
        return True  # Until its lines have come to their end.

    def next_message(self, stream: _Export) -> api.ExportAccountResponse:
        return api.ExportAccountResponse(json=next(stream.lines))
