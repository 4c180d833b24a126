"""Guessing is held up, and the owner is not: by real calls, on each database."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from sqlalchemy import select

from authservice import bootstrap
from authservice.config import Settings
from authservice.storage.tables.auth import login_attempts, tried_secrets
from tests.conftest import CHEAPEST, RecordedAudit, SettableClock, serve_in_process
from tests.observed import PASSWORD, ObservedChannel, Refusal, refresh, register, verify

GUESSES = int(os.environ.get("AUTHSERVICE_TEST_GUESSES", "400"))
NETWORKS = GUESSES // 10
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.1"
Stub = rpc.AuthServiceStub


@pytest.fixture
def behind_a_proxy(
    settings: Settings, clock: SettableClock, audit: RecordedAudit
) -> Iterator[tuple[Stub, bootstrap.Service]]:
    """Yield a server that believes callers of this machine about where they come from."""
    service = bootstrap.assemble(
        settings.model_copy(update={"trusted_proxies": "127.0.0.0/8"}), clock=clock, audit=audit, hash_cost=CHEAPEST
    )
    served, port = serve_in_process(service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Stub(ObservedChannel.around(channel)), service
    served.stop(0)
    service.close()


def attempt(stub: Stub, name: str, password: str, network: str = ELSEWHERE) -> str:
    """Try to log in and return the reason of the refusal, or OK."""
    answer = answer_to(stub, name, password, network)
    return (answer.reason or "") if isinstance(answer, Refusal) else "OK"


def answer_to(stub: Stub, name: str, password: str, network: str = ELSEWHERE) -> Any:
    request = api.LoginRequest(user_name_or_email=name, password=password)
    try:
        return stub.Login(request, metadata=(("x-forwarded-for", network),), timeout=60)
    except grpc.RpcError as error:
        return Refusal(error)


def guess(number: int) -> str:
    return f"a wrong guess of many words, number {number}"


def test_c8_however_many_guess_from_however_many_networks_a_hundred_are_compared(
    behind_a_proxy: tuple[Stub, bootstrap.Service],
) -> None:
    stub, service = behind_a_proxy
    register(stub, "ada")
    assert attempt(stub, "ada", PASSWORD, HOME) == "OK"
    before = service.parts.hash_pool.computed

    def one(number: int) -> str:
        while True:
            reason = attempt(stub, "ada", guess(number), f"10.0.{number % NETWORKS // 250}.{number % NETWORKS % 250}")
            if reason != "OVERLOADED":
                return reason

    begin = time.monotonic()
    with ThreadPoolExecutor(32) as threads:
        reasons = list(threads.map(one, range(GUESSES)))
    compared = service.parts.hash_pool.computed - before
    print(f"C8: {GUESSES} guesses from {NETWORKS} networks in {time.monotonic() - begin:.0f} s, {compared} compared")
    assert compared == reasons.count("CREDENTIALS_INVALID") <= 100
    assert set(reasons) == {"CREDENTIALS_INVALID", "THROTTLED"}
    assert attempt(stub, "ada", PASSWORD, "203.0.113.200") == "THROTTLED", "a network that nobody knows"
    assert attempt(stub, "ada", PASSWORD, HOME) == "OK", "c9: the owner is let in at home, and at once"
    assert attempt(stub, "ada", PASSWORD, "203.0.113.200") == "OK", "success has emptied the count"


def test_c9_a_stranger_holds_up_nobodys_session(behind_a_proxy: tuple[Stub, bootstrap.Service]) -> None:
    stub, _ = behind_a_proxy
    register(stub, "ada")
    tokens = answer_to(stub, "ada", PASSWORD, HOME).tokens
    while attempt(stub, "ada", guess(0) + str(id(object())), ELSEWHERE) != "THROTTLED":
        pass
    assert verify(stub, tokens.access_token).user_name == "ada"
    assert refresh(stub, tokens.refresh_token).session_id == tokens.session_id


def test_c9_pauses_grow_and_the_answer_says_how_long(
    behind_a_proxy: tuple[Stub, bootstrap.Service], clock: SettableClock
) -> None:
    stub, _ = behind_a_proxy
    register(stub, "ada")
    assert [attempt(stub, "ada", guess(number)) for number in range(5)] == ["CREDENTIALS_INVALID"] * 5
    pauses = []
    for number in range(5, 9):
        refused = answer_to(stub, "ada", guess(number))
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "THROTTLED")
        pauses.append(refused.retry_after)
        clock.advance(seconds=refused.retry_after)
        assert attempt(stub, "ada", guess(number)) == "CREDENTIALS_INVALID"
    assert pauses == [1, 2, 4, 8]
    clock.advance(seconds=16)
    assert attempt(stub, "ada", PASSWORD) == "OK"
    assert [attempt(stub, "ada", guess(number)) for number in range(20, 24)] == ["CREDENTIALS_INVALID"] * 4


def test_c8_a_program_that_repeats_one_wrong_password_is_no_attack(
    behind_a_proxy: tuple[Stub, bootstrap.Service],
) -> None:
    stub, _ = behind_a_proxy
    register(stub, "ada")
    assert {attempt(stub, "ada", guess(0)) for _ in range(30)} == {"CREDENTIALS_INVALID"}
    assert attempt(stub, "ada", PASSWORD) == "OK"


def test_c8_what_one_network_has_sent_is_a_guess_again_at_another(
    behind_a_proxy: tuple[Stub, bootstrap.Service], clock: SettableClock
) -> None:
    """Or whoever wants to know whether a user has mistyped a password in a certain way asks, and is not counted."""
    stub, _ = behind_a_proxy
    register(stub, "ada")
    assert attempt(stub, "ada", guess(0), HOME) == "CREDENTIALS_INVALID"
    for number in range(1, 6):
        assert attempt(stub, "ada", guess(number)) == "CREDENTIALS_INVALID"
    assert attempt(stub, "ada", guess(0)) == "THROTTLED", "as any other guess"


def test_c8_who_is_held_up_leaves_no_row_however_many_networks_they_have(
    behind_a_proxy: tuple[Stub, bootstrap.Service],
) -> None:
    stub, service = behind_a_proxy
    register(stub, "ada")
    for number in range(100):
        assert attempt(stub, "ada", guess(number), f"10.1.{number // 5}.1") == "CREDENTIALS_INVALID"
    before = rows(service)
    assert {attempt(stub, "ada", guess(number), f"10.2.{number}.1") for number in range(40)} == {"THROTTLED"}
    assert rows(service) == before


def rows(service: bootstrap.Service) -> list[int]:
    """Return how many rows the tables have that attempts are counted in."""
    with service.parts.engine.connect() as connection:
        return [len(connection.execute(select(table)).all()) for table in (login_attempts, tried_secrets)]


def test_c9_many_who_log_in_at_once_with_the_right_password_are_all_let_in(
    behind_a_proxy: tuple[Stub, bootstrap.Service],
) -> None:
    stub, _ = behind_a_proxy
    register(stub, "robot")
    with ThreadPoolExecutor(24) as threads:
        reasons = set(threads.map(lambda _: attempt(stub, "robot", PASSWORD), range(24)))
    assert reasons <= {"OK", "OVERLOADED"}, "a fleet that starts is no attack"


def test_c11_all_spellings_and_identifiers_of_an_account_have_one_count(
    behind_a_proxy: tuple[Stub, bootstrap.Service],
) -> None:
    stub, _ = behind_a_proxy
    register(stub, "ada", email="ada@example.com")
    names = ["ada", "ADA", "Ａda", "ada@example.com", "ADA@example.COM"]
    assert [attempt(stub, name, guess(number)) for number, name in enumerate(names)] == ["CREDENTIALS_INVALID"] * 5
    assert {attempt(stub, name, guess(9)) for name in names} == {"THROTTLED"}


def test_c10_a_name_that_nobody_has_is_held_up_as_one_that_somebody_has(
    behind_a_proxy: tuple[Stub, bootstrap.Service],
) -> None:
    stub, _ = behind_a_proxy
    register(stub, "ada", email="ada@example.com")
    answers = {
        name: [answer_to(stub, name, guess(number)) for number in range(7)]
        for name in ("ada", "nobody", "nobody@example.com", "no name at all")
    }
    told = {
        name: [(each.code, each.reason, each.message, each.retry_after is None) for each in found]
        for name, found in answers.items()
    }
    assert len({tuple(each) for each in told.values()}) == 1
    assert told["ada"][-1][1] == "THROTTLED"


def test_c8_one_network_that_tries_many_accounts_is_held_up_and_the_others_are_not(
    settings: Settings, clock: SettableClock
) -> None:
    few = settings.model_copy(update={"network_free_attempts": 10, "trusted_proxies": "127.0.0.0/8"})
    service = bootstrap.assemble(few, clock=clock, hash_cost=CHEAPEST)
    served, port = serve_in_process(service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = Stub(ObservedChannel.around(channel))
        register(stub, "ada")
        reasons = [attempt(stub, f"user{number}", guess(0)) for number in range(12)]
        assert reasons == ["CREDENTIALS_INVALID"] * 10 + ["THROTTLED"] * 2
        assert attempt(stub, "ada", PASSWORD, HOME) == "OK"
        clock.advance(minutes=1)
        assert attempt(stub, "ada", PASSWORD) == "OK", "and its success takes some off the network"
        assert [attempt(stub, f"more{number}", guess(0)) for number in range(4)] == ["CREDENTIALS_INVALID"] * 4
    served.stop(0)
    service.close()


def test_c8_a_network_creates_only_so_many_accounts_in_an_hour(settings: Settings, clock: SettableClock) -> None:
    service = bootstrap.assemble(
        settings.model_copy(update={"registrations_per_hour": 3}), clock=clock, hash_cost=CHEAPEST
    )
    served, port = serve_in_process(service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = Stub(ObservedChannel.around(channel))
        for number in range(3):
            register(stub, f"user{number}")
        with pytest.raises(grpc.RpcError) as refused:
            register(stub, "user3")
        answer = Refusal(refused.value)
        assert (answer.reason, answer.retry_after) == ("THROTTLED", 1200)
        clock.advance(minutes=20)
        register(stub, "user3")
    served.stop(0)
    service.close()
