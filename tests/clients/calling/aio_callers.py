"""A caller's session on an event loop, who is signed in."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from authclient.aio import Session

from tests.clients.eventually import SOON
from tests.clients.guarded import path
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer
from tests.observed import PASSWORD


class Caller:
    """A session that is logged in, a channel that carries it, and a clock to set."""

    def __init__(self, session: Session, channel: grpc.aio.Channel, hands: Hands) -> None:
        self.session, self.channel, self.hands = session, channel, hands

    async def call(self, kind: str = "unary_unary", request: bytes = b"x", **options: Any) -> list[bytes]:
        """Make a call of any kind and return the answers."""
        argument: Any = _requests(request) if kind.startswith("stream_") else request
        answer = getattr(self.channel, kind)(path(kind))(argument, timeout=SOON, **options)
        return [each async for each in answer] if kind.endswith("_stream") else [await answer]


async def _requests(*messages: bytes) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


@asynccontextmanager
async def signed_in(server: TokenServer) -> AsyncIterator[Caller]:
    """Yield a caller; leave no task behind."""
    hands = Hands(1000.0)
    async with Session(server.address, monotonic=hands) as session:
        await session.login("ada", PASSWORD)
        async with session.channel(server.address) as channel:
            yield Caller(session, channel, hands)
    await eventually(lambda: len(asyncio.all_tasks()) == 1, "no task is left")


async def eventually(condition: Callable[[], object], what: str) -> None:
    """Return as soon as the condition holds; fail if it does not in time."""
    until = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < until, f"still not: {what}: {asyncio.all_tasks()}"
        await asyncio.sleep(0.002)  # The pace of asking, not a guess at how long it takes.


async def refused(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    """Return the error of a call that must be refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def is_ending(error: grpc.aio.AioRpcError, code: grpc.StatusCode, kind: str) -> bool:
    """Tell whether a call ended so. grpc.aio says INTERNAL where it was still sending requests at that moment."""
    return error.code() is code or (kind.startswith("stream_") and error.code() is grpc.StatusCode.INTERNAL)


def holding(asked: threading.Event, answer: threading.Event) -> Callable[..., None]:
    """Return what keeps a Refresh from being answered for a while."""

    def hold(*_: Any) -> None:
        asked.set()
        answer.wait(SOON)

    return hold


def claim(test: Callable[[TokenServer, Caller], Awaitable[None]]) -> Callable[..., None]:
    """Run a test on an event loop, with a caller who is signed in."""

    def run(server: TokenServer) -> None:
        async def work() -> None:
            async with signed_in(server) as caller:
                await asyncio.wait_for(test(server, caller), 20)

        asyncio.run(work())

    run.__name__ = test.__name__
    return run
