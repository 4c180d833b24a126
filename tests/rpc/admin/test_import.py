"""C6: accounts of another application, with the hashes that it has, many at a time, on each database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import bcrypt
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.domain.user import User
from authservice.domain.user_import import ForeignUser, ImportStep
from authservice.usecases.admin.import_users import NO_CLAIM, TAKEN, TWICE
from tests.conftest import CHEAPEST, RecordedAudit
from tests.observed import PASSWORD, login, refusal, register

ROWS, HASHES = 1000, 20
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(CHEAPEST)).decode()
Stub = rpc.AuthServiceStub


def rows(count: int = ROWS) -> list[ForeignUser]:
    """Return rows of which only every so many have a hash of their own, since hashes take time."""
    hashes = [bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(CHEAPEST, b"2a")).decode() for _ in range(HASHES)]
    return [ForeignUser(n, f"user{n}", hashes[n % HASHES], f"user{n}@example.com") for n in range(1, count + 1)]


def total(steps: Iterator[ImportStep]) -> tuple[int, int, list[str]]:
    every = list(steps)
    said = [f"{remark.number} {remark.text}" for step in every for remark in step.remarks]
    return sum(step.imported for step in every), sum(step.present for step in every), said


def stored(service: bootstrap.Service, name: str) -> User | None:
    return service.parts.database.read(lambda tx: tx.users.by_name(name), Deadline.after(5))


def test_c6_a_thousand_people_keep_their_passwords_and_get_better_hashes(
    stub: Stub, service: bootstrap.Service, audit: RecordedAudit
) -> None:
    assert total(service.admin.import_users(rows())) == (ROWS, 0, [])
    names = [f"user{number}" for number in range(1, ROWS, ROWS // 25)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda name: login(stub, name), [*names, *names]))
    assert login(stub, "user2@example.com")
    assert refusal(login, stub, names[0], PASSWORD[:-1]).reason == "CREDENTIALS_INVALID"
    hashes = [user.password_hash for name in names if (user := stored(service, name))]
    assert len(hashes) == 25
    assert {text.split("$")[0] for text in hashes} == {"hmac-sha256+"}
    assert [facts for name, facts in audit.events if name == "users_imported"] == [{"imported": ROWS, "refused": 0}]


def test_an_import_that_was_interrupted_goes_on_where_it_was(service: bootstrap.Service, audit: RecordedAudit) -> None:
    steps = service.admin.import_users(rows())
    assert next(steps).imported == 500
    steps.close()  # type: ignore[attr-defined]
    assert audit.events[-1] == ("users_imported", {"imported": 500, "refused": 0})
    assert total(service.admin.import_users(rows())) == (500, 500, [])
    assert total(service.admin.import_users(rows())) == (0, ROWS, [])


def test_what_cannot_be_imported_is_said_and_holds_nothing_else_up(stub: Stub, service: bootstrap.Service) -> None:
    register(stub, "ada", email="ada@example.com")
    given = [
        ForeignUser(1, "ADA", HASH),
        ForeignUser(2, "bob@example.com", HASH),
        ForeignUser(3, "carol", "5f4dcc3b5aa765d61d8327deb882cf99"),
        ForeignUser(4, "dan", HASH, "nowhere"),
        ForeignUser(5, "eve", HASH, "ada@example.com"),
        ForeignUser(6, "", ""),
        ForeignUser(7, "frank", HASH, "frank@example.com"),
        ForeignUser(8, "Frank", HASH),
    ]
    for is_trial in (True, False):
        imported, present, said = total(service.admin.import_users(given, is_trial=is_trial))
        assert (imported, present) == (2, 0)
        assert said == [
            f"1 {TAKEN}",
            "2 user name must not contain @, which marks e-mail addresses",
            "3 password hash is no bcrypt hash: 60 characters that begin with $2a$, $2b$ or $2y$",
            "4 e-mail address is not an e-mail address",
            f"5 {NO_CLAIM}",
            "6 user name is required; password hash is required",
            f"8 {TWICE}",
        ]
        assert bool(stored(service, "eve")) is not is_trial
    assert login(stub, "eve")
    assert login(stub, "ada@example.com").session_id
    assert refusal(login, stub, "carol").reason == "CREDENTIALS_INVALID"


def test_who_has_changed_the_password_keeps_it_in_a_later_import(stub: Stub, service: bootstrap.Service) -> None:
    total(service.admin.import_users([ForeignUser(1, "ada", HASH)]))
    login(stub, "ada")
    before = stored(service, "ada")
    assert total(service.admin.import_users([ForeignUser(1, "ada", HASH)])) == (0, 1, [])
    assert stored(service, "ada") == before


@pytest.mark.parametrize("threads", [4])
def test_of_imports_and_registrations_at_once_each_name_has_one_account(
    stub: Stub, service: bootstrap.Service, threads: int
) -> None:
    given = [ForeignUser(number, f"user{number}", HASH) for number in range(1, 101)]
    with ThreadPoolExecutor(threads + 1) as pool:
        registered = pool.submit(register, stub, "user50")
        outcomes = list(pool.map(lambda _: total(service.admin.import_users(given)), range(threads)))
        is_registered = registered.exception() is None
    assert sum(imported for imported, _, _ in outcomes) == 100 - is_registered
    assert len(service.admin.operate_users.page("", 200, Deadline.after(5))) == 100
