"""What every store of accounts promises."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from authservice.domain.errors import UserNameTaken
from authservice.domain.user import NewPassword, User
from authservice.storage import schema
from authservice.storage.engine import open_engine
from tests.contracts.conftest import Stored
from tests.contracts.things import NOW, a_session, a_user, digest


def test_a_user_is_found_as_it_was_kept(stored: Stored) -> None:
    user = a_user("ádmin", email="ada@example.com", registration_key=digest("key"))
    assert stored.run(lambda tx: tx.users.add(user)) == user
    assert stored.run(lambda tx: tx.users.by_name("ádmin")) == user
    assert stored.run(lambda tx: tx.users.by_email("ada@example.com")) == user
    assert stored.run(lambda tx: tx.users.lock(user.id)) == user


@pytest.mark.parametrize("other", ["ADMIN", "admin ", "admin\0", "ádmin", "admın", "ａdmin", "admi", "admin\t"])
def test_v2_only_the_same_bytes_are_the_same_name(stored: Stored, other: str) -> None:
    stored.run(lambda tx: tx.users.add(a_user("admin", email="admin@example.com")))
    assert stored.run(lambda tx: tx.users.by_name(other)) is None
    assert stored.run(lambda tx: tx.users.by_email(f"{other}@example.com")) is None
    twin = a_user(other)
    assert stored.run(lambda tx: tx.users.add(twin)).id == twin.id


def test_a_taken_name_is_refused_and_leaves_nothing(stored: Stored) -> None:
    first = stored.run(lambda tx: tx.users.add(a_user("ada")))
    with pytest.raises(UserNameTaken):
        stored.run(lambda tx: tx.users.add(a_user("ada", email="late@example.com")))
    assert stored.run(lambda tx: tx.users.by_name("ada")) == first
    assert stored.run(lambda tx: tx.users.by_email("late@example.com")) is None


def test_adding_the_same_user_again_is_harmless(stored: Stored) -> None:
    user = a_user()
    for _ in range(2):
        assert stored.run(lambda tx: tx.users.add(user)) == user


def test_the_same_idempotency_key_yields_the_first_user(stored: Stored) -> None:
    first = stored.run(lambda tx: tx.users.add(a_user("ada", registration_key=digest("key"))))
    assert stored.run(lambda tx: tx.users.add(a_user("ada", registration_key=digest("key")))) == first
    with pytest.raises(UserNameTaken):
        stored.run(lambda tx: tx.users.add(a_user("ada", registration_key=digest("other"))))


def test_an_address_stays_with_its_first_claimant(stored: Stored) -> None:
    first = stored.run(lambda tx: tx.users.add(a_user(email="a@example.com")))
    second = stored.run(lambda tx: tx.users.add(a_user(email="a@example.com")))
    assert second.id != first.id
    assert stored.run(lambda tx: tx.users.by_email("a@example.com")) == first


def test_c13_of_fifty_parallel_registrations_one_wins(stored: Stored) -> None:
    def add(_: int) -> User | None:
        try:
            return stored.run(lambda tx: tx.users.add(a_user("wanted", email="wanted@example.com")))
        except UserNameTaken:
            return None

    with ThreadPoolExecutor(50) as threads:
        winners = [user for user in threads.map(add, range(50)) if user]
    assert len(winners) == 1
    assert stored.run(lambda tx: tx.users.by_name("wanted")) == winners[0]
    assert stored.run(lambda tx: tx.users.by_email("wanted@example.com")) == winners[0]
    assert len(stored.run(lambda tx: tx.users.page("", 100, NOW))) == 1


def test_a_password_hash_is_replaced_only_if_it_is_still_the_old_one(stored: Stored) -> None:
    user = stored.run(lambda tx: tx.users.add(a_user()))
    assert stored.run(lambda tx: tx.users.replace_password_hash(user.id, "hash", "new"))
    assert not stored.run(lambda tx: tx.users.replace_password_hash(user.id, "hash", "newer"))
    found = stored.run(lambda tx: tx.users.lock(user.id))
    assert found is not None
    assert found.password_hash == "new"


def test_a_user_is_disabled_and_enabled(stored: Stored) -> None:
    user = stored.run(lambda tx: tx.users.add(a_user()))
    stored.run(lambda tx: tx.users.set_disabled(user.id, NOW))
    disabled = stored.run(lambda tx: tx.users.lock(user.id))
    assert disabled is not None
    assert disabled.disabled_at == NOW
    assert not disabled.is_active
    stored.run(lambda tx: tx.users.set_disabled(user.id, None))
    assert stored.run(lambda tx: tx.users.lock(user.id)) == user


def test_accounts_are_listed_in_pages_with_their_live_sessions(stored: Stored) -> None:
    users = [stored.keep_user(a_user(name)) for name in ("cleo", "ada", "bob", "zoë")]
    stored.run(lambda tx: tx.sessions.add(a_session(users[1])))
    stored.run(lambda tx: tx.sessions.add(a_session(users[1])))
    stored.run(lambda tx: tx.sessions.add(a_session(users[1], idle_end=NOW)))
    stored.run(lambda tx: tx.sessions.add(a_session(users[2], ended_at=NOW - timedelta(hours=1))))
    first = stored.run(lambda tx: tx.users.page("", 2, NOW))
    assert [(user.name, user.live_sessions) for user in first] == [("ADA", 2), ("BOB", 0)]
    rest = stored.run(lambda tx: tx.users.page("bob", 10, NOW))
    assert [user.name for user in rest] == ["CLEO", "ZOË"]


def test_a_transaction_that_raises_leaves_nothing(stored: Stored) -> None:
    def fail(tx: object) -> None:
        tx.users.add(a_user("ada"))  # type: ignore[attr-defined]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stored.run(fail)
    assert stored.run(lambda tx: tx.users.by_name("ada")) is None


def test_a_password_is_set_only_if_hash_and_generation_are_still_those_that_were_read(stored: Stored) -> None:
    user = stored.run(lambda tx: tx.users.add(a_user()))
    assert stored.run(lambda tx: tx.users.set_password(user, NewPassword("new", NOW)))
    assert not stored.run(lambda tx: tx.users.set_password(user, NewPassword("newer")))
    found = stored.run(lambda tx: tx.users.lock(user.id))
    assert found
    assert (found.password_hash, found.secret_generation, found.password_expires_at) == ("new", 1, NOW)
    stale = replace(found, secret_generation=0)
    assert not stored.run(lambda tx: tx.users.set_password(stale, NewPassword("newer")))
    assert stored.run(lambda tx: tx.users.set_password(found, NewPassword("newer")))
    last = stored.run(lambda tx: tx.users.lock(user.id))
    assert last
    assert (last.password_hash, last.secret_generation, last.password_expires_at) == ("newer", 2, None)


def test_accounts_are_as_they_were_after_the_migration_that_gave_them_generations(
    stored: Stored, database_url: str
) -> None:
    user = stored.run(lambda tx: tx.users.add(a_user()))
    engine = open_engine(database_url, pool_size=1)
    with engine.begin() as connection:
        for column in ("secret_generation", "password_expires_at"):
            connection.execute(text(f"ALTER TABLE users DROP COLUMN {column}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))
    assert schema.migrate(engine) == ("0004", schema.newest())
    engine.dispose()
    assert stored.run(lambda tx: tx.users.lock(user.id)) == user
