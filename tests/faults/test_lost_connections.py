"""Connections that the database really kills, and commits whose acknowledgement never arrives."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import grpc
import pytest
from sqlalchemy import make_url

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.transport.methods import METHODS
from tests.contract import SERVED, path_of
from tests.faults.faulty import COMMIT, FaultyDatabase, hang_up
from tests.faults.operations import EVENTS, NAMES, Operations
from tests.faults.processes import wait_until
from tests.faults.test_database_faults import statements_of
from tests.mariadb import connect, kills
from tests.observed import OTHER_PASSWORD, Refusal, login, logout, refusal, register, verify
from tests.sampling import some

CUTS = int(os.environ.get("AUTHSERVICE_TEST_CUTS", "2"))
"""How often each COMMIT of each call loses its answer."""
POOLED = 4
PATHS = {method.name: path_of(method) for method in SERVED}

pytestmark = pytest.mark.parametrize("backend", ["mariadb"])
each_call = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def administrator(database_url: str) -> Iterator[Any]:
    """Yield a cursor of somebody who may kill connections."""
    with closing(connect(make_url(database_url), autocommit=True)) as connection:
        yield connection.cursor()


@pytest.fixture
def kill(administrator: Any) -> Callable[[Any], None]:
    """Return a fault: the database kills the connection, and the statement finds that out by itself."""

    def fault(connection: Any) -> None:
        administrator.execute(f"KILL {connection.thread_id()}")

    return fault


@each_call
def test_d4_a_connection_killed_before_any_statement_is_replaced_with_effects_once(
    operations: Operations, faulty: FaultyDatabase, kill: Callable[[Any], None], name: str
) -> None:
    for at, victim in some(list(enumerate(statements_of(operations, faulty, name), 1))):
        operation = operations.fresh(name)
        faulty.plan.arm(kill, at)
        operation.call()
        assert operation.effects() == 1, victim
        assert operations.audit.count(EVENTS[name]) == 1, victim


@each_call
def test_d5_a_commit_whose_acknowledgement_is_lost_is_resolved_with_effects_once(
    operations: Operations, faulty: FaultyDatabase, name: str
) -> None:
    for at in _commits(operations, faulty, name) * CUTS:
        operation = operations.fresh(name)
        faulty.plan.arm(hang_up, at, after_commit=True)
        operation.call()
        assert operation.effects() == 1


@each_call
def test_d5_l4_a_change_whose_acknowledgement_was_lost_has_its_audit_event(
    operations: Operations, faulty: FaultyDatabase, name: str
) -> None:
    at = _commits(operations, faulty, name)[-1]
    operation = operations.fresh(name)
    faulty.plan.arm(hang_up, at, after_commit=True)
    operation.call()
    assert operation.effects() == 1
    assert operations.audit.count(EVENTS[name]) == 1


def test_d5_a_logout_whose_acknowledgement_was_lost_tells_how_many_sessions_it_ended(
    operations: Operations, faulty: FaultyDatabase
) -> None:
    at = _commits(operations, faulty, "Logout")[-1]
    tokens = operations.session()
    faulty.plan.arm(hang_up, at, after_commit=True)
    assert logout(operations.stub, tokens.access_token) == 1


def test_d5_a_commit_that_fails_twice_is_unavailable_and_a_repetition_finds_the_truth(
    operations: Operations, faulty: FaultyDatabase
) -> None:
    for name in NAMES:
        at = _commits(operations, faulty, name)[-1]
        operation = operations.fresh(name)
        faulty.plan.arm(hang_up, at, times=2, after_commit=True)
        answer = refusal(operation.call)
        assert answer.reason == "STORAGE_UNAVAILABLE"
        assert answer.retry_after
        assert operation.effects() == 1, "committed, though nobody was told"
        if METHODS[PATHS[name]].is_repeatable:
            operation.call()
            assert operation.effects() == 1


def test_d5_a_guess_is_counted_even_if_the_acknowledgement_of_its_count_is_lost(
    operations: Operations, faulty: FaultyDatabase, administrator: Any
) -> None:
    at = _commits(operations, faulty, "Login")[0]
    register(operations.stub, "ada")
    faulty.plan.arm(hang_up, at, after_commit=True)
    assert refusal(login, operations.stub, "ada", OTHER_PASSWORD).reason == "CREDENTIALS_INVALID"
    administrator.execute("SELECT MAX(failures) FROM login_attempts")
    # Twice is allowed: nobody can tell a lost count from a lost acknowledgement, and a guess must not go uncounted.
    assert administrator.fetchone()[0] in (1, 2)


@pytest.mark.parametrize("name", ["Verify", *NAMES])
def test_a_call_after_all_idle_connections_have_died_is_answered(
    operations: Operations, service: bootstrap.Service, administrator: Any, name: str
) -> None:
    # As after a night behind a firewall, or a restart of the database between two calls.
    tokens = operations.session()
    verify(operations.stub, tokens.access_token)
    if name == "Verify":
        _fill_pool(service)
        _kill_idle(administrator)
        assert verify(operations.stub, tokens.access_token).session_id == str(tokens.session_id)
        return
    operation = operations.fresh(name)
    _kill_idle(administrator)
    operation.call()
    assert operation.effects() == 1


def test_l3_a_lost_connection_leaves_no_traceback_in_the_log(
    operations: Operations, administrator: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # It is foreseen and dealt with. Lines of another logger would also break "one event, one line of JSON".
    tokens = operations.session()
    verify(operations.stub, tokens.access_token)
    _kill_idle(administrator)
    refusal_or_answer = _outcome(lambda: verify(operations.stub, tokens.access_token))
    assert refusal_or_answer in {None, "STORAGE_UNAVAILABLE"}
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def _outcome(call: Callable[[], object]) -> str | None:
    """Return the reason of a refusal, None for an answer."""
    try:
        call()
    except grpc.RpcError as error:
        return Refusal(error).reason
    return None


def _commits(operations: Operations, faulty: FaultyDatabase, name: str) -> list[int]:
    """Return which statements of a call are its COMMITs."""
    return [at for at, text in enumerate(statements_of(operations, faulty, name), 1) if text == COMMIT]


def _fill_pool(service: bootstrap.Service) -> None:
    """Leave several idle connections behind, as parallel calls do."""
    line = threading.Barrier(POOLED)
    with ThreadPoolExecutor(POOLED) as pool:
        deadline = Deadline.after(10)
        works = [pool.submit(service.parts.database.read, lambda _: line.wait(), deadline) for _ in range(POOLED)]
        for work in works:
            work.result()


def _kill_idle(administrator: Any) -> None:
    """Kill every connection to this database but the administrator's, and wait until they are gone.

    Meanwhile the service may have opened others for its own chores.
    """

    def others() -> list[int]:
        administrator.execute(
            "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        )
        return [row[0] for row in administrator.fetchall()]

    killed = others()
    for connection in killed:
        with kills():
            administrator.execute(f"KILL {connection}")
    wait_until(lambda: not set(killed).intersection(others()), 60, "all connections gone")
