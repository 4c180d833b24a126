"""The end of a Trust: its threads end at any moment, and every question is answered."""

import asyncio
import functools
import threading
import time

import authclient._view.watch
import grpc
import pytest
from authclient import Refused, Trust
from authclient._judging.verified import Ask

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.scripted import ended, identity, token
from tests.clients.stand_ins import Heard
from tests.clients.trusts import NewTrust, verdict
from tests.clients.view.addresses import black_hole, free_port


def close_in_time(trust: Trust) -> None:
    threads = list(trust._watch.threads)
    begin = time.monotonic()
    trust.close()
    assert time.monotonic() - begin < 3.0
    assert not any(thread.is_alive() for thread in threads)


def test_close_ends_both_threads_while_it_is_connecting(new_trust: NewTrust) -> None:
    with black_hole() as address:
        close_in_time(new_trust(address))


def test_close_ends_both_threads_while_nobody_is_there(new_trust: NewTrust, heard: Heard) -> None:
    trust = new_trust(f"127.0.0.1:{free_port()}")
    eventually(lambda: heard.losses, "an attempt")
    close_in_time(trust)


def test_close_ends_both_threads_before_the_first_answer(scripted: AuthServer, new_trust: NewTrust) -> None:
    trust = new_trust(scripted)
    watch = scripted.next_watch()
    close_in_time(trust)
    assert watch.is_over.wait(SOON)


def test_close_ends_both_threads_while_streaming_and_the_view_stays(auth: AuthServer, new_trust: NewTrust) -> None:
    trust = new_trust(auth)
    assert trust.wait_until_ready(SOON)
    auth.revoke(ended())
    eventually(lambda: verdict(trust) == "SESSION_ENDED", "the rule")
    close_in_time(trust)
    assert verdict(trust) == "SESSION_ENDED"
    close_in_time(trust)  # Twice does no harm.


def opened_more_than(auth: AuthServer, count: int) -> bool:
    return len(auth.opened) > count


def connected(heard: Heard, times: int) -> bool:
    return heard.connections == times


def test_close_in_the_very_moment_of_opening_never_hangs(auth: AuthServer, new_trust: NewTrust) -> None:
    for round_ in range(12):
        trust = new_trust(auth)
        if round_ % 2:
            eventually(functools.partial(opened_more_than, auth, round_ // 2), "some stream")
        close_in_time(trust)


def test_close_soon_after_a_reconnection_breaks_no_thread_of_grpc(
    auth: AuthServer, new_trust: NewTrust, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", broken.append)
    monkeypatch.setattr(authclient._view.watch, "FIRST_PAUSE", 0.002)
    for connections in range(2, 12, 2):
        trust = new_trust(auth)
        eventually(functools.partial(connected, heard, connections - 1), "the first connection")
        auth.cut()
        eventually(functools.partial(connected, heard, connections), "the second one")
        trust.close()
    until = time.monotonic() + 0.5
    eventually(lambda: broken or time.monotonic() > until, "grpc's threads have had their time")
    assert broken == []


def test_a_channel_that_was_given_is_left_open(auth: AuthServer) -> None:
    with grpc.insecure_channel(auth.address) as channel:
        with Trust(channel, audience="internal") as trust:
            assert trust.wait_until_ready(SOON)
        grpc.channel_ready_future(channel).result(SOON)


def test_close_during_many_questions_answers_each_of_them(auth: AuthServer, new_trust: NewTrust) -> None:
    held = threading.Event()
    auth.verify = lambda _request, _context: held.wait(SOON) and identity()
    trust = new_trust(auth)
    refusals: list[str] = []

    def ask() -> None:
        try:
            trust.ask(Ask(token()), 5.0)
        except Refused as refused:
            refusals.append(refused.reason)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(auth.shown) == 8, "the questions")
    trust.close()
    for thread in threads:
        thread.join(SOON)
    held.set()
    assert refusals == ["VERIFICATION_UNAVAILABLE"] * 8


def test_a_question_after_the_end_is_refused(auth: AuthServer, trust: Trust) -> None:
    trust.close()
    with pytest.raises(Refused, match="the Trust is closed"):
        trust.ask(Ask(token()), 5.0)
    with pytest.raises(Refused, match="the Trust is closed"):
        asyncio.run(trust.ask_async(Ask(token()), 5.0))
