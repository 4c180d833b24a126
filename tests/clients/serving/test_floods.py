"""Floods on a guarded service with the recommended options: other callers hardly notice."""

import threading
from collections import Counter
from contextlib import ExitStack
from typing import Any

import grpc
from authclient import SERVER_OPTIONS, Trust

from tests.clients.guarded import SIGNED_IN, Guarded, handler, path
from tests.clients.scripted import bearer, token
from tests.rpc.rude_client import WINDOW, rude_client

RESETS = 20_000
BESIDE = 200
BURST = 6000
CONNECTIONS = 10
SECONDS = 60.0


def guarded(trust: Trust) -> Guarded:
    """Return a service that answers what it is asked."""
    answer = handler("unary_unary", lambda request, _context: request)
    return Guarded(trust, {"buy": answer}, {"buy": SIGNED_IN}, threads=8, options=SERVER_OPTIONS)


def test_x4_streams_that_are_opened_and_reset_cost_other_connections_no_call(trust: Trust) -> None:
    over = threading.Event()

    def flood(port: int) -> None:
        while not over.is_set():
            with rude_client(port, WINDOW) as rude:
                rude.open_and_reset(path("buy"), RESETS)

    with guarded(trust) as server:
        thread = threading.Thread(target=flood, args=(server.port,))
        thread.start()
        try:
            outcomes = Counter(
                server.call("unary_unary", b"tea", name="buy", metadata=bearer(token()), timeout=SECONDS).code
                for _ in range(BESIDE)
            )
        finally:
            over.set()
            thread.join()
    assert outcomes == {grpc.StatusCode.OK: BESIDE}


def test_an_honest_burst_is_answered(trust: Trust) -> None:
    with guarded(trust) as server, ExitStack() as stack:
        channels = [stack.enter_context(server.new_channel()) for _ in range(CONNECTIONS)]
        buy: list[Any] = [channel.unary_unary(path("buy")) for channel in channels]
        metadata = bearer(token())
        calls = [
            buy[number % CONNECTIONS].future(b"tea", metadata=metadata, timeout=SECONDS) for number in range(BURST)
        ]
        outcomes = Counter(call.code() for call in calls)
    assert outcomes == {grpc.StatusCode.OK: BURST}
