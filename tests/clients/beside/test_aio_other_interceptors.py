"""Any interceptor that wraps handlers may stand before the guard or behind it, on an asyncio server."""

from typing import Any

import pytest
from authclient import Trust

from tests.clients.aio_guarded import AioGuarded
from tests.clients.auth_server import AuthServer
from tests.clients.beside.others import AIO_OTHERS, AioWatched, aio_traced
from tests.clients.eventually import eventually
from tests.clients.guarded import UNAUTHENTICATED, summary
from tests.clients.noted import Noted
from tests.clients.scripted import GOOD, USER, ended
from tests.clients.serving.aio_handler_cases import WAYS, ways
from tests.clients.serving.idle import Idle, Opened
from tests.clients.shapes import SHAPES, name

ASYNC = [shape for shape in SHAPES if shape[0] == "async"]
"""What every such interceptor takes: most wait for an answer, or go through the answers, as of an asyncio handler."""
OPEN = [shape for shape in ASYNC if shape[1] != "unary_unary"]
PLACES = {"before": ["before"], "behind": ["behind"], "around": ["before", "behind"]}


@pytest.fixture(params=list(PLACES.values()), ids=list(PLACES))
def places(request: pytest.FixtureRequest) -> list[str]:
    found: list[str] = request.param
    return found


@pytest.fixture(params=AIO_OTHERS)
def others(request: pytest.FixtureRequest, places: list[str]) -> dict[str, Any]:
    """Return what a server is given beside the guard."""
    return {where: [AIO_OTHERS[request.param]()] for where in places}


def test_calls_of_each_kind_are_answered_and_know_who_calls(trust: Trust, noted: Noted, others: dict[str, Any]) -> None:
    with AioGuarded(trust, noted.by_shape, **others) as shop:
        for shape in ASYNC:
            assert shop.call(shape, metadata=GOOD).messages == [b"hello"], shape
            assert summary(shop.call(shape)) == "UNAUTHENTICATED TOKEN_MISSING"
    assert [caller.user_id for caller in noted.callers] == [USER] * 4


def test_streams_end_while_their_handlers_wait(
    auth: AuthServer, trust: Trust, idle: Idle, others: dict[str, Any]
) -> None:
    with AioGuarded(trust, idle.handlers(), **others) as shop:
        streams = [Opened(shop, idle, shape) for shape in OPEN]
        auth.revoke(ended())
        for stream in streams:
            over = stream.ending()
            assert (over.code, over.reason) == (UNAUTHENTICATED, "SESSION_ENDED"), stream.shape
        eventually(lambda: shop.leases == 0, "nothing is kept")


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_a_handler_says_reaches_the_caller_as_without_the_guard(
    trust: Trust, others: dict[str, Any], when: str
) -> None:
    for way in ("set", "initial", "abort_with_metadata", "raise"):
        handlers = ways(WAYS[way], when)
        with AioGuarded(None, handlers, **others) as plain, AioGuarded(trust, handlers, **others) as guarded:
            for shape in ASYNC:
                messages = (b"a", b"b") if shape[1].startswith("stream_") else (b"a",)
                expected = plain.call(shape, *messages, metadata=GOOD)
                assert guarded.call(shape, *messages, metadata=GOOD) == expected, (way, name(shape))


def test_those_before_the_guard_see_each_kind_as_what_it_is(trust: Trust, noted: Noted) -> None:
    watched = AioWatched()
    with AioGuarded(trust, noted.by_shape, before=[aio_traced(), watched]) as shop:
        for shape in ASYNC:
            assert shop.call(shape, metadata=GOOD).messages == [b"hello"]
    kinds = [kind for _, kind in ASYNC]
    assert watched.seen == [(f"async_{kind}", kind.startswith("unary"), kind.endswith("unary")) for kind in kinds]
