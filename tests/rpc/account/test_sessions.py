"""What people see and end of their own sessions, on each database."""

import pytest
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import auth_service_pb2_grpc as rpc
from grpc import Channel, insecure_channel
from uuid6 import uuid7

from authservice import bootstrap
from authservice.config import Settings
from tests.conftest import CHEAPEST, RecordedAudit, SettableClock, serve_in_process
from tests.faults.seeding import Seeder
from tests.observed import PASSWORD, login, refresh, refusal, register, verify
from tests.rpc.account.calling import Account

Stub = rpc.AuthServiceStub


def remembered(stub: Stub, name: str) -> auth_api.SessionTokens:
    request = auth_api.LoginRequest(user_name_or_email=name, password=PASSWORD, remember=True)
    return stub.Login(request).tokens


def test_sessions_are_listed_with_what_tells_them_apart(channel: Channel, stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada")
    opened_at = clock.now
    phone = login(stub, "ada", label="phone")
    clock.advance(minutes=1)
    laptop = login(stub, "ada", label="laptop")
    clock.advance(minutes=1)
    phone = refresh(stub, phone.refresh_token)
    answer = Account(channel, laptop.access_token).call("ListSessions")
    assert [each.client_label for each in answer.sessions] == ["phone", "laptop"], "those used last come first"
    assert [each.current for each in answer.sessions] == [False, True]
    assert answer.total_size == 2
    first = answer.sessions[0]
    assert first.session_id == phone.session_id
    assert first.create_time.ToMicroseconds() == pytest.approx(opened_at.timestamp() * 1e6, abs=2)
    assert first.last_used_time.ToMicroseconds() == pytest.approx(clock.now.timestamp() * 1e6, abs=2)
    assert first.idle_expire_time == phone.refresh_token_expire_time
    assert first.expire_time == phone.session_expire_time
    assert first.network == "127.0.0.1"
    assert list(first.auth_methods) == ["pwd"]


def test_only_live_sessions_of_the_caller_are_listed(channel: Channel, stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada")
    register(stub, "eve")
    login(stub, "eve")
    login(stub, "ada")
    clock.advance(hours=1)  # It is idle by now.
    tokens = login(stub, "ada")
    answer = Account(channel, tokens.access_token).call("ListSessions")
    assert [each.session_id for each in answer.sessions] == [tokens.session_id]


def test_no_more_than_a_hundred_are_listed_and_all_are_counted(
    channel: Channel, stub: Stub, service: bootstrap.Service, clock: SettableClock
) -> None:
    seeds = Seeder(service)
    seeds.sessions(seeds.user("ada"), 101)
    clock.advance(seconds=1)
    tokens = login(stub, "ada")
    answer = Account(channel, tokens.access_token).call("ListSessions")
    assert (len(answer.sessions), answer.total_size) == (100, 102)
    assert answer.sessions[0].current


def test_a_revoked_session_is_over_everywhere(channel: Channel, stub: Stub, audit: RecordedAudit) -> None:
    register(stub, "ada")
    lost, mine = login(stub, "ada"), login(stub, "ada")
    account = Account(channel, mine.access_token)
    assert account.call("RevokeSession", session_id=lost.session_id).ended_sessions == 1
    assert refusal(verify, stub, lost.access_token).reason == "SESSION_ENDED"
    assert refusal(refresh, stub, lost.refresh_token).reason == "SESSION_ENDED"
    assert verify(stub, mine.access_token).session_id == mine.session_id
    assert account.call("RevokeSession", session_id=lost.session_id).ended_sessions == 0, "a repetition is harmless"
    assert audit.count("session_revoked") == 2


def test_the_calling_session_can_be_revoked_by_itself(channel: Channel, stub: Stub) -> None:
    register(stub, "ada")
    tokens = login(stub, "ada")
    assert Account(channel, tokens.access_token).call("RevokeSession", session_id=tokens.session_id).ended_sessions == 1
    assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED"


def test_a2_somebody_elses_session_and_one_that_does_not_exist_are_refused_alike(channel: Channel, stub: Stub) -> None:
    register(stub, "ada")
    register(stub, "eve")
    hers, mine = login(stub, "ada"), login(stub, "eve")
    account = Account(channel, mine.access_token)
    there = refusal(account.call, "RevokeSession", session_id=hers.session_id)
    nowhere = refusal(account.call, "RevokeSession", session_id=str(uuid7()))
    assert (there.code, there.reason, there.message) == (nowhere.code, nowhere.reason, nowhere.message)
    assert there.reason == "NOT_PERMITTED"
    assert verify(stub, hers.access_token).session_id == hers.session_id


@pytest.mark.parametrize("text", ["", "x", "00000000-0000-0000-0000-00000000000A", " 00000000000000000000000000000000"])
def test_what_is_no_id_is_named(channel: Channel, stub: Stub, text: str) -> None:
    register(stub, "ada")
    account = Account(channel, login(stub, "ada").access_token)
    assert refusal(account.call, "RevokeSession", session_id=text).violations.keys() == {"session_id"}


def test_all_the_others_are_ended_at_once(channel: Channel, stub: Stub) -> None:
    register(stub, "ada")
    others = [login(stub, "ada") for _ in range(3)]
    mine = login(stub, "ada")
    account = Account(channel, mine.access_token)
    assert account.call("RevokeOtherSessions").ended_sessions == 3
    assert {refusal(verify, stub, each.access_token).reason for each in others} == {"SESSION_ENDED"}
    assert [each.current for each in account.call("ListSessions").sessions] == [True]


def test_s9_a_remembered_session_lasts_for_longer_and_has_an_end_too(stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada")
    tokens = remembered(stub, "ada")
    begun = clock.now.timestamp()
    assert tokens.session_expire_time.seconds == pytest.approx(begun + 30 * 86400, abs=1)
    for _ in range(5):
        clock.advance(days=6.9)
        if clock.now.timestamp() >= begun + 30 * 86400:
            break
        tokens = refresh(stub, tokens.refresh_token)
    assert refusal(refresh, stub, tokens.refresh_token).reason == "SESSION_ENDED"


def test_s9_a_remembered_session_is_over_after_a_week_without_use(stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada")
    tokens = remembered(stub, "ada")
    clock.advance(days=7)
    assert refusal(refresh, stub, tokens.refresh_token).reason == "SESSION_ENDED"


@pytest.fixture
def strict(settings: Settings, clock: SettableClock) -> Settings:
    """Return settings by which nobody is remembered and a user has two sessions at most."""
    return settings.model_copy(update={"remembered_session_seconds": 0, "sessions_per_user": 2})


def test_s9_nobody_is_remembered_where_the_setting_says_so_and_the_oldest_session_makes_room(
    strict: Settings, clock: SettableClock
) -> None:
    service = bootstrap.assemble(strict, clock=clock, hash_cost=CHEAPEST)
    served, port = serve_in_process(service)
    try:
        with insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = Stub(channel)
            register(stub, "ada")
            first = remembered(stub, "ada")
            begun = clock.now.timestamp()
            assert first.session_expire_time.seconds == pytest.approx(begun + 12 * 3600, abs=1)
            clock.advance(seconds=1)
            second = login(stub, "ada")
            clock.advance(seconds=1)
            first = refresh(stub, first.refresh_token)
            clock.advance(seconds=1)
            third = login(stub, "ada")
            assert refusal(verify, stub, second.access_token).reason == "SESSION_ENDED", "it was used longest ago"
            assert {verify(stub, each.access_token).session_id for each in (first, third)} == {
                first.session_id,
                third.session_id,
            }
    finally:
        served.stop(0)
        service.close()
