"""Erasure on a database that fails: what was interrupted goes on, and what has happened is recorded once."""

import contextlib
from dataclasses import replace

import pytest

from authservice import bootstrap
from authservice.domain.errors import StorageUnavailable
from authservice.usecases.account.erase_accounts import EraseAccounts
from tests.conftest import RecordedAudit
from tests.faults.faulty import COMMIT, FaultyDatabase, hang_up
from tests.rpc.account.canary_person import CanaryPerson

pytestmark = pytest.mark.parametrize("backend", ["mariadb"])


@pytest.fixture
def erase(service: bootstrap.Service, faulty: FaultyDatabase) -> EraseAccounts:
    """Return what erases two rows at a time, on a database that can be made to fail."""
    return replace(service.account.erase_accounts, database=faulty, batch=2)


def statements_of(erase: EraseAccounts, faulty: FaultyDatabase, service: bootstrap.Service) -> list[str]:
    """Return the statements of an erasure that meets no fault."""
    canary = CanaryPerson.put_into(service)
    faulty.plan.record()
    assert erase.erase(canary.person.user_id)
    return faulty.plan.sent


def test_l7_an_erasure_that_is_cut_off_at_any_statement_is_finished_by_the_next(
    service: bootstrap.Service, faulty: FaultyDatabase, erase: EraseAccounts, audit: RecordedAudit
) -> None:
    for at, victim in enumerate(statements_of(erase, faulty, service), 1):
        canary = CanaryPerson.put_into(service)
        audit.events.clear()
        faulty.plan.arm(hang_up, at, times=2)
        with contextlib.suppress(StorageUnavailable):
            erase.erase(canary.person.user_id)
        faulty.plan.record()
        erase.erase(canary.person.user_id)
        assert list(canary.left()) == [], victim
        assert audit.count("account_erased") == 1, victim


def test_l4_l7_an_erasure_whose_acknowledgement_was_lost_has_its_audit_event(
    service: bootstrap.Service, faulty: FaultyDatabase, erase: EraseAccounts, audit: RecordedAudit
) -> None:
    sent = statements_of(erase, faulty, service)
    for at in [at for at, text in enumerate(sent, 1) if text == COMMIT]:
        canary = CanaryPerson.put_into(service)
        audit.events.clear()
        faulty.plan.arm(hang_up, at, after_commit=True)
        assert erase.erase(canary.person.user_id)
        assert list(canary.left()) == []
        assert audit.count("account_erased") == 1
