"""Who gets through to a handler of an asyncio server, however it is written. Real sockets."""

import asyncio
import contextlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authapi.v1.rule_pb2 import Rule
from authclient import Trust, current_identity, forwarded
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

from tests.clients.aio_guarded import AioGuarded
from tests.clients.eventually import SOON
from tests.clients.guarded import DENIED, OK, PUBLIC, SIGNED_IN, UNAUTHENTICATED, begin, handler, outcome, path
from tests.clients.noted import Noted
from tests.clients.scripted import GOOD, SECONDS, USER, bearer, token, uuid
from tests.clients.shapes import SHAPES, every_shape, name
from tests.clients.stand_ins import Heard


def test_a_handler_of_each_shape_learns_who_calls(trust: Trust, noted: Noted) -> None:
    with AioGuarded(trust, noted.by_shape) as served:
        for shape in SHAPES:
            answer = served.call(shape, b"hello", metadata=GOOD)
            assert (answer.code, b"".join(answer.messages)) == (OK, b"hello"), name(shape)
            assert noted.callers.pop().user_id == USER


def test_each_of_two_hundred_parallel_calls_of_twenty_users_knows_its_own_user(trust: Trust) -> None:
    together = threading.Barrier(4, timeout=SOON)

    def work(requests: list[bytes], context: Any) -> list[bytes]:
        before = current_identity(context).user_id
        if threading.current_thread() is not served._thread:
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(0.05)  # So that handlers in threads are inside at once.
        assert current_identity(context).user_id == before
        return [before.encode()]

    tokens = {uuid(number): token(sub=uuid(number), sid=uuid(number + 100)) for number in range(20)}
    with AioGuarded(trust, every_shape(work)) as served, ThreadPoolExecutor(32) as pool:

        def call(number: int) -> bool:
            user, shape = uuid(number % 20), SHAPES[number % len(SHAPES)]
            answer = served.call(shape, metadata=bearer(tokens[user]))
            return answer.messages == [user.encode()]

        assert all(pool.map(call, range(200)))


def test_tasks_of_one_loop_that_overlap_do_not_see_each_others_callers(trust: Trust) -> None:
    arrived = []

    async def meet(request: bytes, context: Any) -> bytes:
        before = current_identity(context)
        arrived.append(before)
        while len(arrived) < 20:
            await asyncio.sleep(0)  # Until all are inside; each iteration lets the others run.
        assert current_identity(context) == before
        return before.user_id.encode()

    with AioGuarded(trust, {"Meet": handler("unary_unary", meet)}) as served:
        calls = [
            begin(served.channel, "unary_unary", path("Meet"), metadata=bearer(token(sub=uuid(number))), timeout=SOON)
            for number in range(20)
        ]
        assert [call.result() for call in calls] == [uuid(number).encode() for number in range(20)]


def test_default_deny_runs_no_handler(trust: Trust, noted: Noted) -> None:
    with AioGuarded(trust, noted.by_shape, dict.fromkeys(noted.by_shape)) as served:
        for shape in SHAPES:
            answer = served.call(shape, metadata=GOOD)
            assert (answer.code, answer.reason) == (DENIED, "METHOD_WITHOUT_RULE"), name(shape)
    assert noted.callers == []


REFUSED = [
    ((), UNAUTHENTICATED, "TOKEN_MISSING"),
    (bearer("x"), UNAUTHENTICATED, "TOKEN_INVALID"),
    (GOOD + GOOD, UNAUTHENTICATED, "TOKEN_INVALID"),
    (bearer(token(exp=SECONDS - 30, iat=SECONDS - 900)), UNAUTHENTICATED, "TOKEN_EXPIRED"),
    (GOOD, DENIED, "ROLE_MISSING"),
]


def test_who_may_not_call_reaches_no_handler(trust: Trust, noted: Noted) -> None:
    with AioGuarded(trust, noted.by_shape, dict.fromkeys(noted.by_shape, Rule(any_role=["admin"]))) as served:
        for shape, (metadata, code, reason) in itertools.product(SHAPES, REFUSED):
            answer = served.call(shape, metadata=metadata)
            assert (answer.code, answer.reason) == (code, reason), name(shape)
    assert noted.callers == []


def test_health_is_exempt_by_its_exact_name_and_unknown_methods_are_unimplemented(trust: Trust, noted: Noted) -> None:
    health = HealthServicer()
    check = grpc.unary_unary_rpc_method_handler(
        health.Check,
        health_pb2.HealthCheckRequest.FromString,
        health_pb2.HealthCheckResponse.SerializeToString,
    )
    real = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check})
    false = grpc.method_handlers_generic_handler("grpc.health.v1.Healthy", {"Check": check})
    with AioGuarded(trust, noted.by_shape, extra=[real, false]) as served:
        served.run(health.set("", health_pb2.HealthCheckResponse.SERVING))
        assert outcome(served.channel, "unary_unary", "/grpc.health.v1.Health/Check", [b""]).code is OK
        assert outcome(served.channel, "unary_unary", "/grpc.health.v1.Healthy/Check", [b""]).code is DENIED
        assert outcome(served.channel, "unary_unary", path("Nothing"), metadata=GOOD).code is (
            grpc.StatusCode.UNIMPLEMENTED
        )


def test_a_public_method_knows_nobody_even_with_a_token(trust: Trust, noted: Noted) -> None:
    with AioGuarded(trust, noted.by_shape, dict.fromkeys(noted.by_shape, PUBLIC)) as served:
        for shape, metadata in itertools.product(SHAPES, ((), GOOD, bearer("rubbish"))):
            assert served.call(shape, metadata=metadata).code is OK, name(shape)
    assert set(noted.callers) == {None}


def test_an_observing_rule_counts_and_lets_pass(trust: Trust, noted: Noted, heard: Heard) -> None:
    observed = Rule(any_role=["admin"], observe=True)
    with AioGuarded(trust, noted.by_shape, dict.fromkeys(noted.by_shape, observed)) as served:
        for shape in SHAPES:
            assert served.call(shape, metadata=GOOD).code is OK, name(shape)
            assert served.call(shape).code is OK, name(shape)
    assert [caller and caller.user_id for caller in noted.callers] == [USER, None] * len(SHAPES)
    assert [refused[1:] for refused in heard.refusals] == [("ROLE_MISSING", False), ("TOKEN_MISSING", False)] * len(
        SHAPES
    )


@pytest.mark.parametrize("rule", [SIGNED_IN, PUBLIC], ids=["signed-in", "public"])
def test_forged_entries_do_not_reach_a_handler_and_others_do(trust: Trust, noted: Noted, rule: Rule) -> None:
    forged = {"x-user": "root", "x-user-id": "0", "x-auth-request-user": "root", "remote-user": "root", "x-roles": "a"}
    kept = {"x-request-id": "7", "authorization": GOOD[0][1], "x-users": "no", "data-bin": b"\x00\xff"}
    with AioGuarded(trust, noted.by_shape, dict.fromkeys(noted.by_shape, rule)) as served:
        for shape in SHAPES:
            assert served.call(shape, metadata=tuple((forged | kept).items())).code is OK, name(shape)
            seen = noted.metadata.pop()
            assert not forged.keys() & seen.keys(), name(shape)
            assert kept.items() <= seen.items(), name(shape)


def test_the_token_is_passed_on_where_a_handler_asks_for_that(trust: Trust) -> None:
    with AioGuarded(trust, every_shape(lambda _, context: [forwarded(context)[0][1].encode()])) as served:
        for shape in SHAPES:
            assert b"".join(served.call(shape, metadata=GOOD).messages).decode() == GOOD[0][1], name(shape)
