"""A session and a fork: two processes never use one refresh token."""

import asyncio
import os
from collections.abc import Callable

import grpc
import pytest
from authclient import Session
from authclient import aio as asynchronous

from tests.clients.calling.calls import call
from tests.clients.forked import in_children, in_program, raised
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer
from tests.observed import PASSWORD

USES: dict[str, Callable[[Session], object]] = {
    "access_token": lambda session: session.access_token(),
    "replace": lambda session: session.replace("access-1"),
    "logout": lambda session: session.logout(),
    "channel": lambda session: call(session.channel("127.0.0.1:1")),
}


def use_in_two_children(address: str) -> list[str]:
    """Return what each use of a session comes to in two children of a process that is logged in, and then in that."""
    hands = Hands(1000.0)
    with Session(address, monotonic=hands) as session:
        session.login("ada", PASSWORD)
        hands.now += 899

        def work() -> str:
            uses = [raised(lambda use=use: use(session)) for use in USES.values()]  # type: ignore[misc]
            session.close()  # Its connection is its parent's.
            return "\n".join(uses)

        said = [text.replace(str(os.getpid()), "PARENT") for text in in_children(work, 2)]
        return [*said, session.access_token()]


def test_children_of_a_process_that_is_logged_in_do_not_spend_its_refresh_token(server: TokenServer) -> None:
    *children, own = in_program(use_in_two_children, server.address)
    for said in children:
        assert len(said.splitlines()) == len(USES)
        for line in said.splitlines():
            assert line.startswith("LoginNeeded: This session was made before a fork, in process PARENT.")
            assert "Call login in this process" in line
    assert own == "access-2"
    assert (server.refreshes, server.logouts) == (["refresh-1"], [])


def log_in_in_two_children(address: str, logged_in: bool) -> list[str]:
    """Return the tokens of two children that have refreshed once, the answers to calls with them, and the parent's."""
    hands = Hands(1000.0)
    with Session(address, monotonic=hands) as session:
        if logged_in:
            session.login("ada", PASSWORD)

        def work() -> str:
            session.login("ada", PASSWORD)
            hands.now += 899
            with session.channel(address) as channel:
                return call(channel)[0].decode()

        children = in_children(work, 2)
        session.login("ada", PASSWORD)
        return [*children, session.access_token()]


@pytest.mark.parametrize("logged_in", [True, False])
def test_each_child_may_log_in_for_itself(server: TokenServer, *, logged_in: bool) -> None:
    tokens = in_program(log_in_in_two_children, server.address, logged_in)
    assert all(token.startswith("access-") for token in tokens), tokens
    assert len(set(tokens)) == 3
    assert len(set(server.refreshes)) == 2
    assert "refresh-1" not in server.refreshes or not logged_in


def log_in_through_a_channel_of_the_parent(address: str) -> list[str]:
    with grpc.insecure_channel(address) as channel:
        session = Session(channel)
        session.login("ada", PASSWORD)
        return in_children(lambda: raised(lambda: session.login("ada", PASSWORD)))


def test_a_channel_of_the_parent_is_not_used_in_a_child_even_to_log_in(server: TokenServer) -> None:
    (said,) = in_program(log_in_through_a_channel_of_the_parent, server.address)
    assert said.startswith("RuntimeError: This session was given a channel before a fork")
    assert "Make channel and session anew in this process" in said


def use_on_event_loops(address: str) -> list[str]:
    """Return what an asyncio session says in two children of a process that has used it, and then in that."""
    hands = Hands(1000.0)
    session = asynchronous.Session(address, monotonic=hands)

    def work() -> str:
        uses = (session.access_token, lambda: session.login("ada", PASSWORD), session.close)
        return "\n".join(raised(lambda use=use: asyncio.run(use())) for use in uses)  # type: ignore[misc]

    loop = asyncio.new_event_loop()
    loop.run_until_complete(session.login("ada", PASSWORD))
    hands.now += 899
    return [*in_children(work, 2), loop.run_until_complete(session.access_token())]


def test_an_asyncio_session_that_was_used_is_of_no_use_in_a_child(server: TokenServer) -> None:
    *children, own = in_program(use_on_event_loops, server.address)
    for said in children:
        token, login, closing = said.splitlines()
        assert token.startswith("LoginNeeded: This session was used before a fork, in process ")
        assert login.startswith("RuntimeError: This session was used before a fork, in process ")
        assert "Fork first" in login
        assert closing == "None"
    assert own == "access-2"
    assert server.refreshes == ["refresh-1"]


def use_first_after_the_fork(address: str) -> list[str]:
    session = asynchronous.Session(address)

    async def work() -> str:
        async with session:
            await session.login("ada", PASSWORD)
            return await session.access_token()

    return in_children(lambda: asyncio.run(work()), 2)


def test_an_asyncio_session_that_was_only_made_serves_each_child(server: TokenServer) -> None:
    assert sorted(in_program(use_first_after_the_fork, server.address)) == ["access-1", "access-2"]
