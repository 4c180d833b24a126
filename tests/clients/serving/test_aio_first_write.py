"""A stream on an asyncio server ends by a refusal that comes at any moment of its very first answer."""

import asyncio
from typing import Any

import grpc
import pytest
from authclient import Trust, reason_of

from tests.clients.aio_guarded import AioGuarded
from tests.clients.eventually import SOON
from tests.clients.guarded import begin, handler, path
from tests.clients.scripted import GOOD, ended

TURNS = range(8)
"""How often the event loop goes round between the beginning of the first answer and the refusal."""
ONE_MESSAGE = 1_000_000


class Revoking:
    """A handler whose caller's session ends while it sends its first answer."""

    def __init__(self, trust: Trust, turns: int) -> None:
        self._trust, self._turns = trust, turns
        self.served: AioGuarded | None = None

    async def answer(self, request: bytes, context: Any) -> None:
        writing = asyncio.ensure_future(context.write(bytes(ONE_MESSAGE)))
        await self._revoke()
        await writing
        await asyncio.Event().wait()

    async def answer_after_metadata(self, request: bytes, context: Any) -> None:
        sending = asyncio.ensure_future(context.send_initial_metadata((("said", "first"),)))
        await self._revoke()
        await sending
        await asyncio.Event().wait()

    async def _revoke(self) -> None:
        for _ in range(self._turns):
            await asyncio.sleep(0)
        assert self.served
        assert self.served.interceptor
        self._trust.knowledge.view.add(ended())
        self.served.interceptor._leases.review()


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("sends", ["answer", "answer_after_metadata"])
def test_a_refusal_during_the_first_answer_ends_the_stream(trust: Trust, sends: str, turns: int) -> None:
    revoking = Revoking(trust, turns)
    with AioGuarded(trust, {"Answer": handler("unary_stream", getattr(revoking, sends))}) as served:
        revoking.served = served
        call = begin(served.channel, "unary_stream", path("Answer"), metadata=GOOD, timeout=SOON)
        with pytest.raises(grpc.RpcError):
            list(call)
        assert reason_of(call.trailing_metadata()) == "SESSION_ENDED"
