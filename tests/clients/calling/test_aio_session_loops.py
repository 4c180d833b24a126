"""An asyncio session and event loops: it may be made before there is one, and outlive one."""

import asyncio
import gc
from typing import Any

import pytest
from authclient.aio import Session

from tests.clients.guarded import path
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer
from tests.observed import PASSWORD


def test_a_session_may_be_made_where_no_loop_runs(server: TokenServer) -> None:
    session = Session(server.address)

    async def work() -> bytes:
        async with session, session.channel(server.address) as channel:
            await session.login("ada", PASSWORD)
            echo: Any = channel.unary_unary(path("unary_unary"))
            return bytes(await echo(b"x"))

    assert asyncio.run(work()) == b"access-1"


def test_a_login_outlives_the_loop_that_it_was_made_in(server: TokenServer, hands: Hands) -> None:
    session = Session(server.address, monotonic=hands)
    asyncio.run(session.login("ada", PASSWORD))
    hands.now += 899
    assert asyncio.run(session.access_token()) == "access-2"
    assert asyncio.run(session.logout()) == 1
    assert (server.refreshes, server.logouts) == (["refresh-1"], [("refresh-2", "access-2")])
    gc.collect()  # Nothing of a loop that is closed complains of it.


def test_one_session_is_not_for_two_loops_at_a_time(server: TokenServer) -> None:
    session = Session(server.address)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(session.login("ada", PASSWORD))
    with pytest.raises(RuntimeError, match=r"in use in another event loop.*Make one for each loop"):
        asyncio.run(session.access_token())
    loop.run_until_complete(session.close())
    loop.close()


def test_closing_one_that_was_never_used_is_nothing(server: TokenServer) -> None:
    asyncio.run(Session(server.address).close())
