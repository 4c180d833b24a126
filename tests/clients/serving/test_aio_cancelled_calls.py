"""On an asyncio server, a thread that outlives its call is told that call's metadata and nobody else's.

grpc frees them when the caller leaves, and other calls soon use the memory.
"""

import contextlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authclient import Trust, current_identity, find_identity

from tests.clients.aio_guarded import AioGuarded
from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON
from tests.clients.guarded import PUBLIC, SIGNED_IN, begin, handler, path
from tests.clients.scripted import GOOD, SNAPSHOT_END, USER, bearer, step, token
from tests.clients.trusts import NewTrust

CALLERS, CALLS = 8, 150
LONGEST = 0.004
"""Seconds for which a handler works, and after which a caller may lose patience."""


class Witnesses:
    """Blocking handlers that compare what the request, the metadata and the identity say about who is calling."""

    def __init__(self) -> None:
        self.heard = 0
        self.wrong: list[tuple[bytes, Any, str]] = []

    def unary(self, request: bytes, context: Any) -> bytes:
        time.sleep(random.random() * LONGEST)
        self._compare(request, context)
        return request

    def stream(self, request: bytes, context: Any) -> Any:
        for _ in range(3):
            yield request
            time.sleep(random.random() * LONGEST)
            self._compare(request, context)

    def _compare(self, request: bytes, context: Any) -> None:
        said = dict(context.invocation_metadata()).get("authorization")
        found = find_identity(context)
        self.heard += 1
        if said != TOKENS.get(request) or (found and found.user_name != request.decode()):
            self.wrong.append((request, said, str(found)))


TOKENS = {f"user-{number}".encode(): bearer(token(preferred_username=f"user-{number}"))[0][1] for number in range(40)}


@pytest.mark.parametrize("rule", [SIGNED_IN, PUBLIC])
def test_among_callers_who_leave_no_handler_is_told_what_another_one_said(trust: Trust, rule: Any) -> None:
    witnesses = Witnesses()
    handlers = {
        "Unary": handler("unary_unary", witnesses.unary),
        "Stream": handler("unary_stream", witnesses.stream),
    }

    def calls(served: AioGuarded) -> None:
        with served.new_channel() as channel:
            for _ in range(CALLS):
                user, text = random.choice(list(TOKENS.items()))
                kind, name = random.choice([("unary_unary", "Unary"), ("unary_stream", "Stream")])
                call = begin(channel, kind, path(name), [user], (("authorization", text),), SOON)
                if random.random() < 0.5:
                    time.sleep(random.random() * LONGEST)
                    call.cancel()
                with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
                    list(call) if kind == "unary_stream" else call.result()

    with AioGuarded(trust, handlers, dict.fromkeys(handlers, rule)) as served, ThreadPoolExecutor(CALLERS) as callers:
        for done in [callers.submit(calls, served) for _ in range(CALLERS)]:
            done.result()
    assert witnesses.heard > CALLS
    assert witnesses.wrong == []


def test_a_call_that_its_caller_gave_up_while_it_waited_is_judged_by_its_own_token(
    scripted: AuthServer, new_trust: NewTrust, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[tuple[bytes, str]] = []
    trust = new_trust(scripted, patience=SOON)

    def work(request: bytes, context: Any) -> bytes:
        reached.append((request, current_identity(context).user_id))
        return request

    waiting = threading.Semaphore(0)
    assert trust.following
    ready = trust.following.ready
    wait_until_ready = ready.wait

    def wait(timeout: float) -> bool:
        waiting.release()
        return wait_until_ready(timeout)

    monkeypatch.setattr(ready, "wait", wait)
    forged = bearer(token()[:-86] + "A" * 86)
    pool = ThreadPoolExecutor(16)
    with AioGuarded(trust, {"Work": handler("unary_unary", work)}, pool=pool) as served, pool:
        watch = scripted.next_watch()
        attackers = served.new_channel()
        attacks = [begin(attackers, "unary_unary", path("Work"), [b"forged"], forged) for _ in range(8)]
        for _ in attacks:
            assert waiting.acquire(timeout=SOON)
        for attack in attacks:
            attack.cancel()
        honest = [begin(served.channel, "unary_unary", path("Work"), [b"honest"], GOOD) for _ in range(8)]
        for _ in honest:
            assert waiting.acquire(timeout=SOON)
        watch.say(step(SNAPSHOT_END, opened=100.0, read=100.0, keys=scripted.keys))
        assert {call.result(SOON) for call in honest} == {b"honest"}
    assert set(reached) == {(b"honest", USER)}
