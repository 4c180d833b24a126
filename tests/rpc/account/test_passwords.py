"""C12: a password is changed by who knows the old one, and everything that it had opened ends with it."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from authapi.v1 import account_service_pb2 as account_api
from authapi.v1 import account_service_pb2_grpc as account_rpc
from authapi.v1 import auth_service_pb2_grpc as rpc
from grpc import Channel, RpcError, StatusCode, insecure_channel

from authservice import bootstrap
from authservice.config import ConfigError, Settings
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import CredentialsInvalid, SessionEnded
from authservice.domain.session import Opening
from authservice.domain.tokens import SessionTokens
from authservice.domain.user import User
from authservice.security.breached_file import build
from authservice.usecases.account.change_password import FRESH, PasswordChange
from authservice.usecases.auth.login import Credentials
from tests.conftest import CHEAPEST, RecordedAudit, SettableClock, serve_in_process
from tests.faults.seeding import Seeder
from tests.observed import OTHER_PASSWORD, PASSWORD, Refusal, login, refresh, refusal, register, verify
from tests.rpc.account.calling import Account

CHANGES = int(os.environ.get("AUTHSERVICE_TEST_PASSWORD_CHANGES", "10"))
SESSIONS = 5
MFA = Opening(auth_methods=("pwd", "otp", "mfa"))
Stub = rpc.AuthServiceStub


def change(account: Account, new: str, old: str = PASSWORD) -> int:
    return int(account.call("ChangePassword", old_password=old, new_password=new).ended_sessions)


def test_c12_at_the_acknowledgement_of_a_change_all_other_sessions_are_over(
    channel: Channel, stub: Stub, service: bootstrap.Service, audit: RecordedAudit
) -> None:
    register(stub, "ada")
    tokens, password = login(stub, "ada"), PASSWORD
    account, seeds = Account(channel, tokens.access_token), Seeder(service)
    user = service.parts.database.read(lambda tx: tx.users.by_name("ada"), Deadline.after(5))
    assert user
    for number in range(CHANGES):
        others = seeds.sessions(user, SESSIONS - 1)
        new = f"{OTHER_PASSWORD} {number}"
        assert change(account, new, old=password) == SESSIONS - 1
        for other in others:
            assert refusal(verify, stub, other.access_token).reason == "SESSION_ENDED"
            assert refusal(refresh, stub, other.refresh_token).reason == "SESSION_ENDED"
        assert verify(stub, tokens.access_token).session_id == tokens.session_id
        assert refusal(login, stub, "ada", password).reason == "CREDENTIALS_INVALID"
        password = new
    assert refresh(stub, tokens.refresh_token).session_id == tokens.session_id
    assert login(stub, "ada", password)
    assert audit.count("password_changed") == CHANGES


def test_c12_a_session_alone_changes_nothing(channel: Channel, stub: Stub, audit: RecordedAudit) -> None:
    register(stub, "ada")
    other, mine = login(stub, "ada"), login(stub, "ada")
    account = Account(channel, mine.access_token)
    assert refusal(change, account, OTHER_PASSWORD, old="").violations.keys() == {"old_password"}
    wrong = refusal(change, account, OTHER_PASSWORD, old=f"{PASSWORD}s")
    assert (wrong.code, wrong.reason) == (StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    assert verify(stub, other.access_token).session_id == other.session_id
    assert login(stub, "ada")
    assert (audit.count("password_changed"), audit.count("password_change_refused")) == (0, 1)


def test_c12_c8_wrong_old_passwords_are_held_up_as_at_login(channel: Channel, stub: Stub) -> None:
    register(stub, "ada")
    account = Account(channel, login(stub, "ada").access_token)
    reasons = [refusal(change, account, OTHER_PASSWORD, old=f"wrong {number}").reason for number in range(6)]
    assert reasons == ["CREDENTIALS_INVALID"] * 5 + ["THROTTLED"]
    assert refusal(login, stub, "ada").reason == "THROTTLED", "they are counted as one"


def test_c12_whoever_has_just_shown_a_second_factor_needs_no_old_password(
    channel: Channel, stub: Stub, service: bootstrap.Service, clock: SettableClock
) -> None:
    seeds = Seeder(service)
    user = seeds.user("ada")
    account = Account(channel, seeds.sessions(user, 1, MFA)[0].access_token)
    clock.advance(seconds=FRESH.total_seconds() - 1)
    assert change(account, OTHER_PASSWORD, old="") == 0
    assert login(stub, "ada", OTHER_PASSWORD)
    clock.advance(seconds=2)
    assert refusal(change, account, PASSWORD, old="").violations.keys() == {"old_password"}, "a moment too late"


def test_c12_a_second_factor_does_not_make_a_wrong_old_password_right(
    channel: Channel, service: bootstrap.Service
) -> None:
    seeds = Seeder(service)
    account = Account(channel, seeds.sessions(seeds.user("ada"), 1, MFA)[0].access_token)
    assert refusal(change, account, OTHER_PASSWORD, old="wrong").reason == "CREDENTIALS_INVALID"


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("", "required"),
        ("short", "at least 15"),
        ("x" * 1025, "at most 1024"),
        ("adalovelace adalovelace", "easy to guess"),
        ("ada.king@example.com!", "easy to guess"),
        (PASSWORD, "old password"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_c4_a_new_password_is_judged_as_at_registration(channel: Channel, stub: Stub, new: str, says: str) -> None:
    register(stub, "adalovelace", email="ada.king@example.com")
    account = Account(channel, login(stub, "adalovelace").access_token)
    assert says in refusal(change, account, new).violations["new_password"]
    assert login(stub, "adalovelace")


def test_c12_of_fifty_changes_at_once_one_counts(channel: Channel, stub: Stub, audit: RecordedAudit) -> None:
    register(stub, "ada")
    account = Account(channel, login(stub, "ada").access_token)
    wanted = [f"{OTHER_PASSWORD} {number}" for number in range(50)]

    def attempt(new: str) -> str | None:
        while True:
            try:
                change(account, new)
            except RpcError as error:
                reason = Refusal(error).reason
                if reason != "OVERLOADED":  # An answer made for coming back: these callers do.
                    return reason
            else:
                return None

    with ThreadPoolExecutor(50) as threads:
        reasons = list(threads.map(attempt, wanted))
    assert reasons.count(None) == 1
    assert set(reasons) == {None, "CREDENTIALS_INVALID"}
    assert login(stub, "ada", wanted[reasons.index(None)])
    assert audit.count("password_changed") == 1


@dataclass
class Delayed:
    """Opens a session, as its story does it, after something else has happened."""

    meanwhile: Callable[[], object]
    open_session: Callable[..., SessionTokens]

    def __call__(self, user: User, *arguments: Any) -> SessionTokens:
        self.meanwhile()
        return self.open_session(user, *arguments)


def caller(tokens: SessionTokens, service: bootstrap.Service) -> Caller:
    return Caller(tokens.user_id, tokens.session_id, service.parts.clock(), ("pwd",))


@pytest.mark.parametrize("who", ["the user", "an operator"])
def test_c12_a_login_with_the_old_password_that_is_under_way_opens_nothing(
    service: bootstrap.Service, who: str
) -> None:
    seeds = Seeder(service)
    user = seeds.user("ada")
    (mine,) = seeds.sessions(user, 1)

    def change_it() -> object:
        if who == "an operator":
            return service.admin.make_one_time_password("ada", Deadline.after(20))
        request = PasswordChange(PASSWORD, OTHER_PASSWORD)
        return service.account.change_password(request, caller(mine, service), Deadline.after(20))

    late = replace(service.auth.login, open_session=Delayed(change_it, service.auth.login.open_session))  # type: ignore[arg-type]
    with pytest.raises(CredentialsInvalid):
        late(Credentials("ada", PASSWORD), Deadline.after(20))
    now = service.parts.clock()
    live = service.parts.database.read(lambda tx: tx.sessions.live_of(user.id, now), Deadline.after(5))
    assert [each.id for each in live] == ([] if who == "an operator" else [mine.session_id])


def test_c12_a_session_that_has_ended_changes_nothing_though_the_guard_had_let_it_in(
    service: bootstrap.Service,
) -> None:
    seeds = Seeder(service)
    (mine,) = seeds.sessions(seeds.user("ada"), 1)
    service.admin.operate_sessions.end_one(mine.session_id, Deadline.after(5))
    request = PasswordChange(PASSWORD, OTHER_PASSWORD)
    with pytest.raises(SessionEnded):
        service.account.change_password(request, caller(mine, service), Deadline.after(20))
    assert service.auth.login(Credentials("ada", PASSWORD), Deadline.after(20))


def test_the_hash_is_still_replaced_at_login_without_ending_what_the_password_opened(
    stub: Stub, service: bootstrap.Service
) -> None:
    register(stub, "ada")
    tokens = login(stub, "ada")
    costlier = replace(service.auth.login.passwords, cost=5)  # type: ignore[type-var]
    late = replace(service.auth.login, passwords=costlier)
    late(Credentials("ada", PASSWORD), Deadline.after(20))
    user = service.parts.database.read(lambda tx: tx.users.by_name("ada"), Deadline.after(5))
    assert user
    assert (user.password_hash.split("$")[2], user.secret_generation) == ("05", 0)
    assert verify(stub, tokens.access_token).session_id == tokens.session_id


def test_a_change_begins_a_new_generation_of_secrets(channel: Channel, stub: Stub, service: bootstrap.Service) -> None:
    register(stub, "ada")
    account = Account(channel, login(stub, "ada").access_token)
    change(account, OTHER_PASSWORD)
    change(account, PASSWORD, old=OTHER_PASSWORD)
    user = service.parts.database.read(lambda tx: tx.users.by_name("ada"), Deadline.after(5))
    assert user
    assert user.secret_generation == 2


def estimate(channel: Channel, password: str, **fields: str) -> Any:
    request = account_api.EstimatePasswordRequest(password=password, **fields)
    return account_rpc.AccountServiceStub(channel).EstimatePassword(request, timeout=30)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        (PASSWORD, ""),
        ("quiet copper", "TOO_SHORT"),
        ("", "TOO_SHORT"),
        ("x" * 1025, "TOO_LONG"),
        ("passwordpassword", "GUESSABLE"),
        ("adalovelace 1815 !", "LIKE_NAME"),
        ("xa.kyng@exampel.org", "LIKE_NAME"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_c4_an_estimate_says_what_a_registration_would(
    channel: Channel, stub: Stub, password: str, problem: str
) -> None:
    whose = {"user_name": "adalovelace", "email": "a.king@example.org"}
    found = estimate(channel, password, **whose)
    assert (found.acceptable, found.problem) == (not problem, problem)
    assert bool(found.advice) is bool(problem)
    if problem:
        refused = refusal(register, stub, whose["user_name"], password, email=whose["email"])
        assert refused.violations == {"password": found.description}
        assert refused.violation_reasons == {"password": problem}
    else:
        assert register(stub, whose["user_name"], password, email=whose["email"])


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_stronger_password_has_more_bits(channel: Channel) -> None:
    bits = [estimate(channel, text).bits for text in ("password", "quiet copper", PASSWORD)]
    assert bits == sorted(bits)
    assert bits[0] < 10 < 34 < bits[2]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_estimate_tells_nobody_who_has_an_account(channel: Channel, stub: Stub) -> None:
    register(stub, "ada", email="ada@example.com")
    there = estimate(channel, OTHER_PASSWORD, user_name="ada", email="ada@example.com")
    assert there == estimate(channel, OTHER_PASSWORD, user_name="eve", email="eve@example.com")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_c4_what_is_in_the_file_of_the_setting_is_refused_by_each_rpc_that_takes_a_password(
    settings: Settings, tmp_path: Path, clock: SettableClock
) -> None:
    digest = hashlib.sha1(OTHER_PASSWORD.encode()).hexdigest()
    build([f"{digest}:7\n".encode()], tmp_path / "breached.bin")
    strict = settings.model_copy(update={"password_breached_file": tmp_path / "breached.bin"})
    service = bootstrap.assemble(strict, clock=clock, hash_cost=CHEAPEST)
    served, port = serve_in_process(service)
    try:
        with insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = Stub(channel)
            refused = refusal(register, stub, "ada", OTHER_PASSWORD)
            assert refused.violation_reasons == {"password": "BREACHED"}
            register(stub, "ada")
            account = Account(channel, login(stub, "ada").access_token)
            assert refusal(change, account, OTHER_PASSWORD).violation_reasons == {"new_password": "BREACHED"}
            assert estimate(channel, OTHER_PASSWORD).problem == "BREACHED"
            (tmp_path / "breached.bin").write_bytes(b"")
            assert change(account, OTHER_PASSWORD) == 0, (
                "a file that is broken later is passed over, unless set otherwise"
            )
    finally:
        served.stop(0)
        service.close()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_file_that_is_none_stops_the_start(settings: Settings, tmp_path: Path) -> None:
    strict = settings.model_copy(update={"password_breached_file": tmp_path / "breached.bin"})
    with pytest.raises(ConfigError, match=r"AUTHSERVICE_PASSWORD_BREACHED_FILE: .*breached\.bin"):
        bootstrap.assemble(strict)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_where_sources_have_to_answer_nothing_is_taken_without_them(settings: Settings, clock: SettableClock) -> None:
    strict = settings.model_copy(
        update={"password_range_url": "http://127.0.0.1:9/", "password_breach_failure": "refuse"}
    )
    service = bootstrap.assemble(strict, clock=clock, hash_cost=CHEAPEST)
    served, port = serve_in_process(service)
    try:
        with insecure_channel(f"127.0.0.1:{port}") as channel:
            refused = refusal(register, Stub(channel), "ada")
            assert (refused.code, refused.reason) == (StatusCode.UNAVAILABLE, "PASSWORD_CHECK_UNAVAILABLE")
            assert refused.retry_after
    finally:
        served.stop(0)
        service.close()
