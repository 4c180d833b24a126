"""A handler of a synchronous server learns who calls, and nobody else's name."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authclient import Trust, current_identity, find_identity, forwarded

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import eventually
from tests.clients.guarded import KINDS, Guarded, every_kind, summary
from tests.clients.noted import Noted
from tests.clients.scripted import SESSION, USER, bearer, ended, token, uuid


def test_a_handler_of_each_kind_learns_who_calls_and_forgets_it_after_the_call(shop: Guarded, noted: Noted) -> None:
    for kind in KINDS:
        assert shop.call(kind, metadata=bearer(token())).messages == [b"hello"]
    assert [caller.user_id for caller in noted.callers] == [USER] * 4
    assert {caller.session_id for caller in noted.callers} == {SESSION}
    assert {caller.user_name for caller in noted.callers} == {"Ada"}
    assert {caller.roles for caller in noted.callers} == {("reader",)}
    eventually(lambda: not any(map(find_identity, noted.contexts)), "nobody is known after the call")
    with pytest.raises(LookupError):
        current_identity(noted.contexts[0])


def test_a_handler_that_raises_is_no_reason_to_remember_who_called(trust: Trust) -> None:
    contexts: list[Any] = []

    def work(requests: list[bytes], context: Any) -> list[bytes]:
        contexts.append(context)
        current_identity(context)
        context.abort(grpc.StatusCode.NOT_FOUND, "no such order")
        raise AssertionError

    with Guarded(trust, every_kind(work)) as shop:
        for kind in KINDS:
            assert shop.call(kind, metadata=bearer(token())).code is grpc.StatusCode.NOT_FOUND
        eventually(lambda: not any(map(find_identity, contexts)), "nobody is known after the call")
    assert len(contexts) == 4


def test_each_of_two_hundred_parallel_calls_of_twenty_users_knows_its_own_user(trust: Trust) -> None:
    meeting = threading.Barrier(20)

    def work(requests: list[bytes], context: Any) -> list[bytes]:
        seen = []
        for _ in range(2):
            seen.append(current_identity(context).user_id.encode())
            with contextlib.suppress(threading.BrokenBarrierError):
                meeting.wait(0.5)  # So that many are inside at once; the last round may be smaller.
        assert forwarded(context)[0][1] == dict(context.invocation_metadata())["authorization"]
        return seen

    tokens = {uuid(number): token(sub=uuid(number), sid=uuid(100 + number)) for number in range(20)}
    with Guarded(trust, every_kind(work)) as shop, ThreadPoolExecutor(40) as callers:
        calls = [
            (user, callers.submit(shop.call, KINDS[number // 20 % 4], metadata=bearer(tokens[user])))
            for number, user in enumerate(list(tokens) * 10)
        ]
        for user, call in calls:
            found = call.result()
            assert found.code is grpc.StatusCode.OK, found.details
            assert b"".join(found.messages).decode() == 2 * user
    assert len(calls) == 200


def test_the_token_is_passed_on_only_where_a_handler_asks_for_that(trust: Trust) -> None:
    text = token()
    passed: list[Any] = []

    def work(requests: list[bytes], context: Any) -> list[bytes]:
        passed.append(forwarded(context))
        identity = current_identity(context)
        assert text not in repr(identity)
        assert text not in str(vars(type(identity)))
        return requests

    with Guarded(trust, every_kind(work)) as shop:
        for kind in KINDS:
            assert shop.call(kind, metadata=bearer(text)).code is grpc.StatusCode.OK
    assert passed == [bearer(text)] * 4


def test_an_ended_session_is_refused_in_all_four_kinds(
    auth: AuthServer, shop: Guarded, trust: Trust, noted: Noted
) -> None:
    auth.revoke(ended())
    eventually(lambda: trust.knowledge.view.sessions, "the rule")
    found = {summary(shop.call(kind, metadata=bearer(token()))) for kind in KINDS}
    assert found == {"UNAUTHENTICATED SESSION_ENDED"}
    assert noted.callers == []
