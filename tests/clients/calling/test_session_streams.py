"""A caller's long streams are renewed with each fresh token."""

import functools
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from authclient import Session

from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import KINDS, UNAVAILABLE, path
from tests.clients.scripted import refuse
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_long_stream_is_renewed_with_each_fresh_token(
    server: TokenServer, shop_channel: grpc.Channel, hands: Hands, kind: str
) -> None:
    release = threading.Event()

    def requests() -> Iterator[bytes]:
        yield b"wait"
        release.wait(SOON)

    stream = getattr(shop_channel, kind)(path(kind))
    begin = stream.future if kind == "stream_unary" else stream
    running = begin(requests() if kind.startswith("stream_") else b"wait", timeout=SOON)
    eventually(lambda: server.seen, "it is open")
    name = server.names[0]
    assert 22 <= len(name) <= 64
    for number in (2, 3):
        hands.now += 899
        fresh = (name, f"access-{number}")
        eventually(functools.partial(server.renewals.__contains__, fresh), "it is renewed")
    release.set()
    running.cancel()
    eventually(lambda: not renewing_threads(), "the thread that renews is gone")
    assert server.renewals == [(name, "access-2"), (name, "access-3")]


def renewing_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "authclient-renewals"]


def test_a_renewal_is_repeated_where_that_helps_and_only_there(
    server: TokenServer, shop_channel: grpc.Channel, hands: Hands
) -> None:
    answers = iter([UNAVAILABLE, UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED])
    tried: list[object] = []

    def answer(context: Any) -> None:
        tried.append(context)
        refuse(context, next(answers, grpc.StatusCode.INTERNAL))

    server.on_renewal = answer
    multi: Any = shop_channel.unary_stream(path("unary_stream"))
    running = multi(b"wait", timeout=SOON)
    next(running)
    hands.now += 899
    eventually(lambda: len(tried) == 3, "it is tried three times")
    hands.now += 899
    eventually(lambda: len(tried) == 4, "the next token is tried")
    running.cancel()


def test_a_session_that_is_over_or_closed_breaks_no_thread(
    server: TokenServer, caller: Session, shop_channel: grpc.Channel, hands: Hands
) -> None:
    multi: Any = shop_channel.unary_stream(path("unary_stream"))
    running = multi(b"wait", timeout=SOON)
    next(running)
    caller.close()
    hands.now += 899
    with pytest.raises((ValueError, grpc.RpcError)):
        caller.access_token()
    running.cancel()
    eventually(lambda: not renewing_threads(), "the thread that renews is gone")
