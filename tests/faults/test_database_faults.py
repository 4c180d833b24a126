"""Errors of the database at every statement and at COMMIT: run again, or refused, and never half done."""

import contextlib
import itertools
import os
import sqlite3
import threading
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import grpc
import pytest

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.domain.errors import Conflict
from authservice.ports import Transaction, last_counts
from authservice.storage.database import ATTEMPTS, SqlDatabase
from tests.contract import SERVED
from tests.faults.faulty import COMMIT, Fault, FaultyDatabase, hang_up, mysql_error, sqlite_error
from tests.faults.operations import EVENTS, NAMES, READING, Operations
from tests.faults.seeding import Seeder
from tests.observed import Refusal, login, logout, refusal, verify
from tests.sampling import EVERY, some

COLLISIONS = {"deadlock": 1213, "lock wait": 1205, "stale snapshot": 1020}
LOGINS_EACH = int(os.environ.get("AUTHSERVICE_TEST_LOGINS_EACH", "6"))
ALWAYS = 1_000_000
on_mariadb = pytest.mark.parametrize("backend", ["mariadb"])
on_sqlite = pytest.mark.parametrize("backend", ["sqlite"])
each_call = pytest.mark.parametrize("name", NAMES)


def test_d4_every_call_that_writes_meets_the_faults_here() -> None:
    assert {method.name for method in SERVED} == {*NAMES, *READING}, "tests/faults/operations/ has them all"


def statements_of(operations: Operations, faulty: FaultyDatabase, name: str) -> list[str]:
    """Return the statements of a call that meets no fault."""
    operation = operations.fresh(name)
    faulty.plan.record()
    operation.call()
    assert len(faulty.plan.sent) >= 2, "a change and its COMMIT at the least"
    assert faulty.plan.sent[-1] == COMMIT
    return faulty.plan.sent


@on_mariadb
@each_call
def test_d4_a_collision_at_any_statement_runs_the_whole_transaction_again_with_effects_once(
    operations: Operations, faulty: FaultyDatabase, name: str
) -> None:
    usual = statements_of(operations, faulty, name)
    # Each code means the same (unit/test_error_numbers.py), so they take turns.
    codes = list(itertools.product(range(1, len(usual) + 1), COLLISIONS.values()))
    turns = zip(range(1, len(usual) + 1), itertools.cycle(COLLISIONS.values()), strict=False)
    for at, code in codes if EVERY else turns:
        operation = operations.fresh(name)
        faulty.plan.arm(mysql_error(code), at)
        operation.call()
        begin = max((i for i in range(1, at) if usual[i - 1] == COMMIT), default=0)
        assert faulty.plan.sent == usual[:at] + usual[begin:], f"{code} at {usual[at - 1]}"
        assert operation.effects() == 1
        assert operations.audit.count(EVENTS[name]) == 1


@on_mariadb
@each_call
def test_d4_what_collides_on_every_attempt_is_aborted_with_nothing_changed(
    operations: Operations, faulty: FaultyDatabase, name: str
) -> None:
    usual = statements_of(operations, faulty, name)
    for at, victim in some(list(enumerate(usual, 1))):
        operation = operations.fresh(name)
        faulty.plan.arm(mysql_error(1213), at, ALWAYS)
        answer = refusal(operation.call)
        assert (answer.code, answer.reason) == (grpc.StatusCode.ABORTED, "CONFLICT"), victim
        assert faulty.plan.sent[at - 1 :].count(victim) == ATTEMPTS
        faulty.plan.record()
        assert (operation.effects(), operations.audit.count(EVENTS[name])) == (0, 0)
        operation.call()
        assert operation.effects() == 1


@on_sqlite
@each_call
def test_d4_a_busy_file_at_any_statement_is_unavailable_with_nothing_changed(
    operations: Operations, faulty: FaultyDatabase, name: str
) -> None:
    for at, victim in some(list(enumerate(statements_of(operations, faulty, name), 1))):
        operation = operations.fresh(name)
        faulty.plan.arm(sqlite_error(sqlite3.SQLITE_BUSY, "database is locked"), at)
        answer = refusal(operation.call)
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE"), victim
        assert answer.retry_after
        assert "locked" not in answer.message
        assert (operation.effects(), operations.audit.count(EVENTS[name])) == (0, 0)
        operation.call()
        assert operation.effects() == 1
        assert operations.audit.count(EVENTS[name]) == 1


STORAGE_FAULTS: dict[str, list[Fault]] = {
    "sqlite": [
        sqlite_error(sqlite3.SQLITE_BUSY, "database is locked"),
        sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full"),
        sqlite_error(sqlite3.SQLITE_IOERR, "disk I/O error"),
        sqlite_error(sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
    ],
    # A full table, a read-only server, a node outside the primary component, a shutdown, and connections that break.
    "mariadb": [*map(mysql_error, (1114, 1290, 1047, 1053)), hang_up],
}


def test_s8_no_storage_fault_at_any_statement_of_logout_is_answered_as_success(
    operations: Operations, faulty: FaultyDatabase, backend: str
) -> None:
    usual = statements_of(operations, faulty, "Logout")
    for at, fault in itertools.product(range(1, len(usual) + 1), STORAGE_FAULTS[backend]):
        tokens = operations.session()
        faulty.plan.arm(fault, at, ALWAYS)
        answer = refusal(logout, operations.stub, tokens.access_token)
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE"), usual[at - 1]
        assert answer.retry_after
        faulty.plan.record()
        assert operations.is_live(tokens.session_id), "refused, so it must not have happened"
        assert logout(operations.stub, tokens.access_token) == 1
        assert logout(operations.stub, tokens.access_token) == 0
        assert refusal(verify, operations.stub, tokens.access_token).reason == "SESSION_ENDED"


@on_mariadb
def test_d4_transactions_that_really_deadlock_all_come_to_their_end_with_effects_once(
    service: bootstrap.Service, faulty: FaultyDatabase
) -> None:
    seeds = Seeder(service)
    users = [seeds.user(f"user{number}").id for number in range(3)]
    subject, now = bytes(32), service.parts.clock()
    rounds, done, begun = 10, 0, 0
    counting = threading.Lock()

    def work(tx: Transaction, order: tuple[UUID, ...]) -> None:
        nonlocal begun
        with counting:
            begun += 1
        for user_id in order:
            tx.users.lock(user_id)
        tx.attempts.count(subject, now, now + timedelta(days=1))

    def client(order: tuple[UUID, ...], database: SqlDatabase) -> None:
        nonlocal done
        for _ in range(rounds):
            try:
                database.transact(lambda tx: work(tx, order), Deadline.after(30), settle=last_counts)
            except Conflict:
                continue
            with counting:
                done += 1

    # Every order of three locks: whichever two meet, they close a circle.
    _at_once([lambda order=order: client(order, faulty) for order in itertools.permutations(users)])  # type: ignore[misc]
    stored = (
        faulty.transact(
            lambda tx: tx.attempts.count(subject, now, now + timedelta(days=1)), Deadline.after(5), settle=last_counts
        )
        - 1
    )
    print(f"D4: {done} transactions done in {begun} attempts, {stored} effects")
    assert begun > done, "nothing collided, so this has shown nothing"
    assert stored == done > 0


@on_mariadb
def test_d4_calls_that_fight_over_one_user_leave_no_session_alive(
    operations: Operations, service: bootstrap.Service
) -> None:
    seeds = Seeder(service)
    user = seeds.user("ada")
    sessions = seeds.sessions(user, 40)

    def disable() -> None:
        for _ in range(5):
            # Two operators at one user may well be told to try again; a caller who logs out may not.
            with contextlib.suppress(Conflict):
                service.admin.operate_users.disable("ada", Deadline.after(30))
                service.admin.operate_users.enable("ada", Deadline.after(30))

    def end(share: int) -> None:
        for tokens in sessions[share::4]:
            logout(operations.stub, tokens.access_token)

    # Ending all sessions locks the rows that each single logout locks, in another order.
    _at_once([disable, disable, *(lambda share=share: end(share) for share in range(4))])
    assert not any(operations.is_live(tokens.session_id) for tokens in sessions)


def test_d4_parallel_logins_of_one_user_all_succeed(operations: Operations, service: bootstrap.Service) -> None:
    # As the account of a service whose replicas start together. Nothing is wrong with the database.
    Seeder(service).user("ada")
    lines = 8
    refused: list[str | None] = []

    def log_in() -> None:
        for _ in range(LOGINS_EACH):
            try:
                login(operations.stub, "ada")
            except grpc.RpcError as error:
                refused.append(Refusal(error).reason)

    _at_once([log_in] * lines)
    print(f"D4: {len(refused)} of {lines * LOGINS_EACH} parallel logins of one user refused")
    assert refused == []


def _at_once(works: list[Callable[[], None]]) -> None:
    """Run all works on threads that start together; raise what one of them raised."""
    errors: list[BaseException] = []
    line = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        line.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error
