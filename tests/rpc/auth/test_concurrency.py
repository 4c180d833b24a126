"""Many callers at once, with real threads on real sockets, on each database."""

import threading
from concurrent.futures import ThreadPoolExecutor

import bcrypt
import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.domain.user import User
from authservice.ports import last_counts
from tests.conftest import CHEAPEST, RecordedAudit
from tests.observed import PASSWORD, login, logout, refresh, refusal, register, verify

Stub = rpc.AuthServiceStub


def test_c13_of_fifty_parallel_registrations_of_one_name_one_wins(
    stub: Stub, service: bootstrap.Service, audit: RecordedAudit
) -> None:
    spellings = ["admin", "ADMIN", "Admin", "ＡＤＭＩＮ", "aDMIN"]

    def attempt(number: int) -> grpc.StatusCode:
        # Overload is an answer of its own, made for coming back: these callers do.
        while True:
            try:
                register(stub, spellings[number % 5])
                return grpc.StatusCode.OK
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    return error.code()

    with ThreadPoolExecutor(50) as threads:
        codes = list(threads.map(attempt, range(50)))
    assert codes.count(grpc.StatusCode.OK) == 1
    assert codes.count(grpc.StatusCode.ALREADY_EXISTS) == 49
    assert len(service.admin.operate_users.page("", 10, Deadline.after(5))) == 1
    assert audit.count("user_registered") == 1


def test_c6_the_first_logins_with_an_imported_hash_all_succeed_and_replace_it_for_good(
    stub: Stub, service: bootstrap.Service
) -> None:
    register(stub, "ada")
    imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(CHEAPEST)).decode()
    database = service.parts.database

    def stored() -> User:
        user = database.read(lambda tx: tx.users.by_name("ada"), Deadline.after(5))
        assert user
        return user

    user = stored()
    assert database.transact(
        lambda tx: tx.users.replace_password_hash(user.id, user.password_hash, imported),
        Deadline.after(5),
        settle=last_counts,
    )
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: login(stub, "ada"), range(4)))
    replaced = stored().password_hash
    assert replaced.startswith("hmac-sha256+$2b$")
    login(stub, "ada")
    assert stored().password_hash == replaced


def test_r1_fifty_parallel_refreshes_of_one_token_get_one_successor(stub: Stub, audit: RecordedAudit) -> None:
    register(stub, "ada")
    for _ in range(5):
        first = login(stub, "ada")
        audit.events.clear()
        with ThreadPoolExecutor(50) as threads:
            answers = list(threads.map(lambda _, t=first: refresh(stub, t.refresh_token), range(50)))
        assert len({answer.refresh_token for answer in answers}) == 1
        assert audit.count("session_refreshed") == 1
        assert audit.count("refresh_reuse") == 0
        assert verify(stub, answers[0].access_token).session_id == first.session_id


def test_r1_of_callers_who_refresh_what_they_have_nobody_is_signed_out(stub: Stub, audit: RecordedAudit) -> None:
    register(stub, "ada")
    for _ in range(5):
        begin = login(stub, "ada").refresh_token
        audit.events.clear()

        def tab(_: int, begin: str = begin) -> str:
            token = begin
            for _ in range(6):  # Each is generations behind whoever is quickest.
                token = refresh(stub, token).refresh_token
            return token

        with ThreadPoolExecutor(10) as threads:
            last = set(threads.map(tab, range(10)))
        assert audit.count("refresh_reuse") == 0
        assert {refresh(stub, token).session_id for token in last} == {refresh(stub, begin).session_id}


def test_s1_no_verify_that_starts_after_a_logout_accepts_the_token(stub: Stub) -> None:
    register(stub, "ada")
    tokens = [login(stub, "ada").access_token for _ in range(60)]
    still = [login(stub, "ada").access_token for _ in range(4)]

    def end_then_ask(token: str) -> str | None:
        assert logout(stub, token) == 1
        return refusal(verify, stub, token).reason

    with ThreadPoolExecutor(16) as threads:
        background = [threads.submit(verify, stub, still[number % 4]) for number in range(100)]
        assert set(threads.map(end_then_ask, tokens)) == {"SESSION_ENDED"}
        assert all(call.result() for call in background)


def test_parallel_logouts_end_each_session_once(stub: Stub) -> None:
    register(stub, "ada")
    tokens = [login(stub, "ada").access_token for _ in range(10)]
    with ThreadPoolExecutor(20) as threads:
        counts = list(threads.map(lambda token: logout(stub, token), tokens * 5))
    assert sum(counts) == 10


def test_logging_out_everywhere_beside_refreshes_leaves_nothing_alive(stub: Stub) -> None:
    register(stub, "ada")
    sessions = [login(stub, "ada") for _ in range(12)]

    def try_refresh(tokens: api.SessionTokens) -> api.SessionTokens | None:
        try:
            return refresh(stub, tokens.refresh_token)
        except grpc.RpcError:
            return None

    with ThreadPoolExecutor(12) as threads:
        refreshes = [threads.submit(try_refresh, tokens) for tokens in sessions[1:]]
        ended = threads.submit(logout, stub, sessions[0].access_token, scope=api.LOGOUT_SCOPE_ALL)
        assert ended.result() == 12
        successors = [call.result() for call in refreshes]
    for tokens in (*sessions, *(tokens for tokens in successors if tokens)):
        assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED"


def test_the_queue_for_hashes_is_bounded_and_refuses_with_advice(stub: Stub, service: bootstrap.Service) -> None:
    register(stub, "ada")
    release = threading.Event()
    pool = service.parts.hash_pool
    with ThreadPoolExecutor(64) as threads:
        blocked = [threads.submit(pool.run, release.wait, Deadline.after(30)) for _ in range(pool.capacity)]
        while True:  # Until the pool is full.
            try:
                pool.require_room()
            except Exception:
                break
        answer = refusal(login, stub, "ada")
        release.set()
        assert all(call.result() for call in blocked)
    assert (answer.code, answer.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert answer.retry_after is not None
    assert answer.retry_after > 0
    assert stub.Login(api.LoginRequest(user_name_or_email="ada", password=PASSWORD)).user_id
