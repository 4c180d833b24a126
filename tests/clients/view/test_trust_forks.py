"""A Trust and a fork: nothing reaches a child, and it says so at once."""

import asyncio
import logging
import os
from collections.abc import Callable

from authclient import AuthInterceptor, Trust
from authclient import aio as asynchronous
from authclient._judging.verified import Ask

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON
from tests.clients.forked import in_children, in_program, raised
from tests.clients.guarded import SIGNED_IN
from tests.clients.protos import service_file
from tests.clients.scripted import AUDIENCE, ISSUER, SECONDS, token
from tests.clients.trusts import verdict

USES: dict[str, Callable[[Trust], object]] = {
    "guard": lambda trust: AuthInterceptor(trust, service_file(Buy=SIGNED_IN)),
    "aio guard": lambda trust: asynchronous.AuthInterceptor(trust, service_file(Buy=SIGNED_IN)),
    "wait": lambda trust: trust.wait_until_ready(SOON),
    "aio wait": lambda trust: asyncio.run(trust.until_ready(SOON)),
    "ask": lambda trust: trust.ask(Ask(token()), SOON),
    "aio ask": lambda trust: asyncio.run(trust.ask_async(Ask(token()), SOON)),
}


class Warnings(logging.Handler):
    """Keeps what the logger of the client says."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        logging.getLogger("authclient").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{record.levelname} {record.getMessage()}")


def new_trust(address: str) -> Trust:
    """Return a Trust that knows what the service knows."""
    trust = Trust(address, audience=AUDIENCE, issuer=ISSUER, clock=lambda: float(SECONDS))
    assert trust.wait_until_ready(SOON)
    return trust


def use_in_a_child(address: str, good: str) -> list[list[str]]:
    """Return what is logged in a child at once, what each use comes to there, and the parent's log and verdict."""
    warnings = Warnings()
    with new_trust(address) as trust:
        (at_once,) = in_children(lambda: "\n".join(warnings.said))

        def use() -> str:
            uses = [raised(lambda use=use: use(trust)) for use in USES.values()]  # type: ignore[misc]
            trust.close()  # Its connection is its parent's.
            return "\n".join(uses)

        (uses,) = in_children(use)
        parent = str(os.getpid())
        return [
            at_once.replace(parent, "PARENT").splitlines(),
            uses.replace(parent, "PARENT").splitlines(),
            [*warnings.said, verdict(trust, good)],
        ]


def test_a_child_says_at_once_that_its_trust_was_made_before_the_fork(auth: AuthServer) -> None:
    at_once, uses, parent = in_program(use_in_a_child, auth.address, token())
    (warning,) = at_once
    assert warning.startswith("WARNING this Trust was made before a fork, in process PARENT")
    assert "Make it after the fork" in warning
    assert len(uses) == len(USES)
    for said in uses:
        assert said.startswith("RuntimeError: this Trust was made before a fork, in process PARENT")
    assert parent == [""], "nothing is wrong in the parent"


def close_before(address: str) -> list[str]:
    warnings = Warnings()
    new_trust(address).close()
    return in_children(lambda: "\n".join(warnings.said))


def test_a_trust_that_is_closed_is_nothing_to_speak_of(auth: AuthServer) -> None:
    assert in_program(close_before, auth.address) == [""]


def make_in_children(address: str, good: str) -> list[str]:
    return in_children(lambda: verdict(new_trust(address), good), 2)


def test_one_that_is_made_after_the_fork_follows(auth: AuthServer) -> None:
    assert in_program(make_in_children, auth.address, token()) == ["", ""]
