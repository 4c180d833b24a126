"""Registering, logging in, verifying, refreshing, logging out: a real server and a real stub, on each database."""

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.domain.session import MOST_SPENT
from tests.conftest import RecordedAudit, SettableClock
from tests.observed import OTHER_PASSWORD, login, logout, refresh, refusal, register, verify

Stub = rpc.AuthServiceStub


def test_a_registered_user_logs_in_and_is_recognised(stub: Stub) -> None:
    user = register(stub, "Ada", email="Ada@Example.com")
    tokens = login(stub, "ada")
    identity = verify(stub, tokens.access_token)
    assert identity.user_id == user.user_id
    assert identity.user_name == user.user_name == "Ada"
    assert identity.session_id == tokens.session_id
    assert identity.expire_time == tokens.access_token_expire_time
    assert list(identity.auth_methods) == ["pwd"]
    assert list(identity.roles) == []


def test_a_user_logs_in_by_e_mail_in_any_letter_case(stub: Stub) -> None:
    register(stub, "ada", email="Ada@Example.com")
    assert login(stub, "aDA@example.COM").session_id


def test_an_address_belongs_to_who_claimed_it_first_and_nobody_is_told(stub: Stub) -> None:
    first = register(stub, "ada", email="ada@example.com")
    second = register(stub, "eve", OTHER_PASSWORD, email="ADA@example.com")
    assert second.user_id != first.user_id
    assert verify(stub, login(stub, "ada@example.com").access_token).user_id == first.user_id
    assert refusal(login, stub, "ada@example.com", OTHER_PASSWORD).reason == "CREDENTIALS_INVALID"


def test_a_login_tells_lifetimes_and_the_servers_time(stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada")
    answer = stub.Login(api.LoginRequest(user_name_or_email="ada", password="quiet copper lantern 47 rivers"))
    now = clock.now.timestamp()
    assert answer.server_time.ToMicroseconds() == pytest.approx(now * 1e6, abs=2)
    assert answer.tokens.access_token_expire_time.seconds == pytest.approx(now + 15 * 60, abs=1)
    assert answer.tokens.refresh_token_expire_time.seconds == pytest.approx(now + 30 * 60, abs=1)
    assert answer.tokens.session_expire_time.seconds == pytest.approx(now + 12 * 3600, abs=1)


def test_c10_wrong_passwords_unknown_and_disabled_users_look_alike(stub: Stub, service: bootstrap.Service) -> None:
    register(stub, "ada")
    register(stub, "bob")
    service.admin.operate_users.disable("bob", Deadline.after(5))
    before = service.parts.hash_pool.computed
    answers = [
        refusal(login, stub, "ada", OTHER_PASSWORD),
        refusal(login, stub, "nobody"),
        refusal(login, stub, "bob"),
        refusal(login, stub, "nobody@example.com"),
        refusal(login, stub, "not a name\N{ZERO WIDTH SPACE}"),
    ]
    seen = {(answer.code, answer.message, tuple(d.SerializeToString() for d in answer.details)) for answer in answers}
    assert len(seen) == 1
    assert answers[0].code is grpc.StatusCode.UNAUTHENTICATED
    assert answers[0].reason == "CREDENTIALS_INVALID"
    assert service.parts.hash_pool.computed - before == len(answers), "each refusal costs one hash"


def test_s1_a_logged_out_token_no_longer_verifies(stub: Stub) -> None:
    register(stub, "ada")
    tokens = login(stub, "ada")
    assert logout(stub, tokens.access_token) == 1
    answer = refusal(verify, stub, tokens.access_token)
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "SESSION_ENDED")
    assert refusal(refresh, stub, tokens.refresh_token).reason == "SESSION_ENDED"


def test_logging_out_the_others_keeps_this_session(stub: Stub) -> None:
    register(stub, "ada")
    register(stub, "bob")
    mine, others, bobs = login(stub, "ada"), [login(stub, "ada") for _ in range(3)], login(stub, "bob")
    assert logout(stub, mine.access_token, scope=api.LOGOUT_SCOPE_OTHERS) == 3
    assert verify(stub, mine.access_token).session_id == mine.session_id
    assert verify(stub, bobs.access_token).session_id == bobs.session_id
    for other in others:
        assert refusal(verify, stub, other.access_token).reason == "SESSION_ENDED"


def test_logging_out_everywhere_ends_all_and_may_be_repeated(stub: Stub) -> None:
    register(stub, "ada")
    mine, other = login(stub, "ada"), login(stub, "ada")
    assert logout(stub, mine.access_token, scope=api.LOGOUT_SCOPE_ALL) == 2
    assert logout(stub, mine.access_token, scope=api.LOGOUT_SCOPE_ALL) == 0
    assert refusal(verify, stub, other.access_token).reason == "SESSION_ENDED"


def test_an_ended_session_cannot_end_later_ones(stub: Stub) -> None:
    register(stub, "ada")
    old = login(stub, "ada")
    logout(stub, old.access_token)
    new = login(stub, "ada")
    for scope in (api.LOGOUT_SCOPE_ALL, api.LOGOUT_SCOPE_OTHERS):
        assert refusal(logout, stub, old.access_token, scope=scope).reason == "SESSION_ENDED"
    assert refusal(logout, stub, old.access_token, session_id=new.session_id).reason == "SESSION_ENDED"
    assert verify(stub, new.access_token).session_id == new.session_id


def test_s11_logging_out_twice_is_harmless(stub: Stub) -> None:
    register(stub, "ada")
    tokens = login(stub, "ada")
    assert [logout(stub, tokens.access_token) for _ in range(3)] == [1, 0, 0]


def test_s11_another_users_session_and_one_that_does_not_exist_are_refused_alike(stub: Stub) -> None:
    register(stub, "ada")
    register(stub, "bob")
    adas, bobs = login(stub, "ada"), login(stub, "bob")
    answers = [
        refusal(logout, stub, adas.access_token, session_id=bobs.session_id),
        refusal(logout, stub, adas.access_token, session_id="0191d5a5-0000-7000-8000-000000000000"),
    ]
    assert {(a.code, a.reason, a.message) for a in answers} == {
        (grpc.StatusCode.PERMISSION_DENIED, "NOT_PERMITTED", answers[0].message)
    }
    assert verify(stub, bobs.access_token).session_id == bobs.session_id


def test_one_of_the_callers_own_sessions_is_ended_by_its_id(stub: Stub) -> None:
    register(stub, "ada")
    mine, lost = login(stub, "ada"), login(stub, "ada")
    assert logout(stub, mine.access_token, session_id=lost.session_id) == 1
    assert logout(stub, mine.access_token, session_id=lost.session_id) == 0
    assert refusal(verify, stub, lost.access_token).reason == "SESSION_ENDED"
    assert verify(stub, mine.access_token).session_id == mine.session_id


def test_s11_a_refresh_token_logs_out_too_and_an_unknown_one_is_no_error(stub: Stub) -> None:
    register(stub, "ada")
    tokens = login(stub, "ada")
    assert stub.Logout(api.LogoutRequest(refresh_token="no-such-token")).ended_sessions == 0
    assert stub.Logout(api.LogoutRequest(refresh_token=tokens.refresh_token)).ended_sessions == 1
    assert stub.Logout(api.LogoutRequest(refresh_token=tokens.refresh_token)).ended_sessions == 0
    assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED"


def test_logout_without_any_proof_is_refused(stub: Stub) -> None:
    assert refusal(stub.Logout, api.LogoutRequest()).reason == "TOKEN_MISSING"


def test_r1_a_refresh_token_is_replaced_and_the_session_stays(stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada")
    first = login(stub, "ada")
    clock.advance(minutes=10)
    second = refresh(stub, first.refresh_token)
    assert second.session_id == first.session_id
    assert second.refresh_token != first.refresh_token
    assert second.access_token_expire_time.seconds > first.access_token_expire_time.seconds
    assert second.session_expire_time == first.session_expire_time
    assert verify(stub, second.access_token).session_id == first.session_id


def test_r3_a_refresh_repeated_in_the_grace_window_gets_the_same_successor(stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada")
    first = login(stub, "ada")
    second = refresh(stub, first.refresh_token)
    clock.advance(seconds=29)
    assert refresh(stub, first.refresh_token).refresh_token == second.refresh_token
    assert refresh(stub, second.refresh_token).session_id == first.session_id


def test_r2_reuse_after_the_grace_window_ends_the_session_for_both(
    stub: Stub, clock: SettableClock, audit: RecordedAudit
) -> None:
    register(stub, "ada")
    first = login(stub, "ada")
    second = refresh(stub, first.refresh_token)
    clock.advance(seconds=31)
    answer = refusal(refresh, stub, first.refresh_token)
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "REFRESH_TOKEN_REUSED")
    assert refusal(refresh, stub, second.refresh_token).reason == "SESSION_ENDED"
    assert refusal(verify, stub, second.access_token).reason == "SESSION_ENDED"
    assert audit.count("refresh_reuse") == 1


def test_r3_a_token_of_earlier_gets_the_current_one_for_as_long_as_its_own_grace(
    stub: Stub, clock: SettableClock, audit: RecordedAudit
) -> None:
    register(stub, "ada")
    tokens = [login(stub, "ada").refresh_token]
    for _ in range(3):
        tokens.append(refresh(stub, tokens[-1]).refresh_token)
        clock.advance(seconds=8)
    for spent in tokens[:-1]:
        assert refresh(stub, spent).refresh_token == tokens[-1]
    clock.advance(seconds=8)
    for spent in tokens[1:-1]:
        assert refresh(stub, spent).refresh_token == tokens[-1]
    assert audit.count("refresh_reuse") == 0
    assert refusal(refresh, stub, tokens[0]).reason == "REFRESH_TOKEN_REUSED", "32 seconds after its first use"
    assert refusal(refresh, stub, tokens[-1]).reason == "SESSION_ENDED"


def test_r3_of_a_session_that_is_refreshed_without_a_pause_the_token_stays_for_a_while(
    stub: Stub, clock: SettableClock
) -> None:
    register(stub, "ada")
    tokens = [login(stub, "ada").refresh_token]
    for _ in range(MOST_SPENT):
        tokens.append(refresh(stub, tokens[-1]).refresh_token)
    kept = refresh(stub, tokens[-1])
    assert kept.refresh_token == tokens[-1]
    assert verify(stub, kept.access_token).session_id == kept.session_id
    assert refresh(stub, tokens[0]).refresh_token == tokens[-1], "none is forgotten within its grace"
    clock.advance(seconds=31)
    assert refresh(stub, tokens[-1]).refresh_token not in tokens


def test_r5_a_disabled_users_tokens_are_dead_at_once(stub: Stub, service: bootstrap.Service) -> None:
    register(stub, "ada")
    tokens = login(stub, "ada")
    assert service.admin.operate_users.disable("ADA", Deadline.after(5)) == 1
    assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED"
    assert refusal(refresh, stub, tokens.refresh_token).reason == "SESSION_ENDED"
    service.admin.operate_users.enable("ada", Deadline.after(5))
    assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED"
    assert login(stub, "ada").session_id != tokens.session_id


def test_r7_refreshing_for_ever_ends_at_the_absolute_limit(stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada")
    begin, tokens = clock.now, login(stub, "ada")
    token = tokens.refresh_token
    while (clock.now - begin).total_seconds() < 12 * 3600 - 25 * 60:
        clock.advance(minutes=25)
        latest = refresh(stub, token)
        token = latest.refresh_token
        assert latest.session_expire_time == tokens.session_expire_time
        assert latest.refresh_token_expire_time.ToMicroseconds() <= tokens.session_expire_time.ToMicroseconds()
        assert latest.access_token_expire_time.seconds <= tokens.session_expire_time.seconds
    clock.advance(minutes=25)
    assert refusal(refresh, stub, token).reason == "SESSION_ENDED"


def test_s9_an_idle_session_is_over_without_any_cleaner(stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada")
    tokens = login(stub, "ada")
    clock.advance(minutes=30, microseconds=-1)
    tokens = refresh(stub, tokens.refresh_token)
    clock.advance(minutes=30)
    assert refusal(refresh, stub, tokens.refresh_token).reason == "SESSION_ENDED"


def test_s6_logging_out_everywhere_and_in_again_at_the_same_moment_leaves_only_the_new_token(stub: Stub) -> None:
    register(stub, "ada")
    for _ in range(20):  # The clock stands still: all of this happens in one microsecond.
        old = login(stub, "ada")
        assert logout(stub, old.access_token, scope=api.LOGOUT_SCOPE_ALL) == 1
        new = login(stub, "ada")
        assert refusal(verify, stub, old.access_token).reason == "SESSION_ENDED"
        assert verify(stub, new.access_token).session_id == new.session_id
        logout(stub, new.access_token)


def test_an_expired_access_token_is_named_as_expired(stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada")
    tokens = login(stub, "ada")
    clock.advance(minutes=15, seconds=29)
    assert verify(stub, tokens.access_token)
    clock.advance(seconds=2)
    answer = refusal(verify, stub, tokens.access_token)
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")


def test_a_token_from_a_server_whose_clock_is_ahead_is_named_as_not_yet_valid(stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada")
    tokens = login(stub, "ada")
    clock.advance(seconds=-29)
    assert verify(stub, tokens.access_token)
    clock.advance(seconds=-3)
    assert refusal(verify, stub, tokens.access_token).reason == "TOKEN_NOT_YET_VALID"


def test_an_idempotency_key_makes_a_repeated_registration_succeed(stub: Stub) -> None:
    first = register(stub, "ada", idempotency_key="d41d8cd98f00b204")
    again = register(stub, "ADA", idempotency_key="d41d8cd98f00b204")
    assert again == first
    assert refusal(register, stub, "ada", idempotency_key="another-key-of-16").reason == "USER_NAME_TAKEN"
    assert refusal(register, stub, "ada").reason == "USER_NAME_TAKEN"
