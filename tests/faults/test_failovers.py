"""The database's primary is demoted, dies, hangs or is cut off, and its replica takes over."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from authclient import Trust

from authservice.config import load
from authservice.domain.deadline import Deadline
from authservice.usecases.auth.logout import LogoutRequest
from tests.clients.guarded import Guarded, handler
from tests.clients.scripted import bearer
from tests.conftest import MASTER_KEY, migrate
from tests.faults.processes import running_server, wait_until
from tests.faults.seeding import seeder
from tests.gateway import Gateway
from tests.mariadb import find_server
from tests.observed import Refusal, login, logout, refresh, verify
from tests.pair import Pair, running_pair

SOON = 30.0
TOKENS = 40
Fault = Callable[[Pair, Gateway], object]

pytestmark = [
    pytest.mark.skipif(find_server() is None, reason="no MariaDB server on this machine"),
    pytest.mark.timeout(180),
]


def demoted(pair: Pair, _way: Gateway) -> None:
    pair.demote()  # It lives, answers, and its connections stay.


def killed(pair: Pair, _way: Gateway) -> None:
    pair.old.stop(signal.SIGKILL)


def frozen(pair: Pair, _way: Gateway) -> None:
    os.kill(pair.old.pid, signal.SIGSTOP)


def cut_off(_pair: Pair, way: Gateway) -> None:
    way.delay = SOON * 10
    way.silence()


ALL = [(fault, names) for fault in (demoted, killed, frozen, cut_off) for names in ("one", "two")]
FEW = [(demoted, "one"), (cut_off, "two")]
"""What the ordinary run has time for. `make networks` tries all."""


def answer(call: Callable[..., Any], *arguments: Any) -> str:
    """Return OK, or the reason of the refusal."""
    try:
        call(*arguments)
    except grpc.RpcError as error:
        return Refusal(error).reason or Refusal(error).code.name
    return "OK"


@pytest.mark.parametrize(("fault", "names"), ALL if "AUTHSERVICE_TEST_NETWORKS" in os.environ else FEW)
def test_d3_after_a_failover_nobody_accepts_what_was_logged_out_at_the_new_primary_and_all_goes_on(
    fault: Fault, names: str, tmp_path: Path
) -> None:
    """With one name that leads to the new primary, or with two hosts in the address."""
    with ExitStack() as stack:
        pair = stack.enter_context(running_pair(tmp_path))
        migrate(pair.url(pair.old.port))
        way = stack.enter_context(Gateway(pair.old.port))
        with seeder(load(database_url=pair.url(way.port), data_dir=tmp_path, master_key=MASTER_KEY)) as seeds:
            sessions = seeds.sessions(seeds.user("ada"), TOKENS + 1)
        url = pair.url(way.port)
        if names == "two":
            url = url.replace(f":{way.port}/", f":{way.port},127.0.0.1:{pair.new.port}/")
        server = stack.enter_context(running_server(url, tmp_path / "server"))
        stub = stack.enter_context(server.stub())
        trust = stack.enter_context(Trust(f"127.0.0.1:{server.port}", audience="internal"))
        assert trust.wait_until_ready(SOON)
        service = stack.enter_context(Guarded(trust, {"buy": handler("unary_unary", lambda _request, _context: b"")}))

        def buy(token: str) -> str:
            done = service.call("unary_unary", name="buy", metadata=bearer(token))
            return done.reason or done.code.name

        assert {answer(verify, stub, each.access_token) for each in sessions} == {"OK"}
        login(stub, "ada")
        pair.catch_up()
        fault(pair, way)
        pair.promote()
        if names == "one":
            way.target, way.delay = pair.new.port, 0.0
        with seeder(load(database_url=pair.url(pair.new.port), data_dir=tmp_path, master_key=MASTER_KEY)) as there:
            answers = Counter[str]()
            for session in sessions[:TOKENS]:
                there.service.auth.logout(LogoutRequest(session.access_token), Deadline.after(SOON))
                answers[answer(verify, stub, session.access_token)] += 1
        print(f"{fault.__name__}, {names}: {dict(answers)}")
        assert answers["OK"] == 0
        again = wait_until(lambda: answer(login, stub, "ada") == "OK", SOON, "a login")
        print(f"login again after {again:.1f} s")
        wait_until(
            lambda: {buy(each.access_token) for each in sessions[:TOKENS]} == {"SESSION_ENDED"},
            SOON,
            "news of the logouts at the guard",
        )
        live = sessions[TOKENS]
        wait_until(lambda: buy(live.access_token) == "OK", SOON, "a guard that knows")
        assert answer(verify, stub, live.access_token) == "OK"
        anew = refresh(stub, live.refresh_token)
        assert logout(stub, anew.access_token) == 1
