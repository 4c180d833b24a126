"""What every store promises about roles and generations."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from authservice.domain.deadline import Deadline
from authservice.domain.session import Session, SessionEnd, Standing
from authservice.domain.user import User
from authservice.ports import Transaction
from tests.contracts.conftest import Stored
from tests.contracts.things import NOW, a_session, a_user

UNSORTED = ("support", "auditor", "a.b_c-9", "z" * 64, "abc")


@pytest.fixture
def user(stored: Stored) -> User:
    return stored.keep_user(a_user("ada", email="ada@example.com"))


@pytest.fixture
def session(stored: Stored, user: User) -> Session:
    session = a_session(user)
    stored.keep_session(session)
    return session


def seen(stored: Stored, user: User, session: Session) -> set[tuple[tuple[str, ...], int]]:
    """Return roles and generation of a user by every way there is to one."""

    def read(tx: Transaction) -> list[User | None]:
        found = tx.sessions.get(session.id)
        return [
            tx.users.by_name(user.name.canonical),
            tx.users.by_email(user.email or ""),
            tx.users.lock(user.id),
            found[1] if found else None,
        ]

    found = stored.run(read)
    assert all(found)
    listed = [each.roles for each in stored.run(lambda tx: tx.users.page("", 10, NOW)) if each.id == user.id]
    assert listed == [each.roles for each in found[:1] if each]
    return {(each.roles, each.generation) for each in found if each}


def test_a_new_user_has_no_roles_and_the_first_generation(stored: Stored, user: User, session: Session) -> None:
    assert seen(stored, user, session) == {((), 0)}


def test_roles_are_sorted_wherever_a_user_is_read(stored: Stored, user: User, session: Session) -> None:
    stranger = stored.keep_user(a_user())
    for role in UNSORTED:
        assert stored.run(lambda tx, role=role: tx.users.grant(user.id, role, NOW))  # type: ignore[misc]
    stored.run(lambda tx: tx.users.grant(stranger.id, "stranger", NOW))
    assert seen(stored, user, session) == {(tuple(sorted(UNSORTED)), 0)}


def test_a_role_is_given_once_and_taken_once(stored: Stored, user: User, session: Session) -> None:
    assert [stored.run(lambda tx: tx.users.grant(user.id, "support", NOW)) for _ in range(2)] == [True, False]
    assert not stored.run(lambda tx: tx.users.take(user.id, "auditor"))
    assert seen(stored, user, session) == {(("support",), 0)}
    assert [stored.run(lambda tx: tx.users.take(user.id, "support")) for _ in range(2)] == [True, False]
    assert seen(stored, user, session) == {((), 0)}


def test_a_transaction_goes_on_after_a_role_that_was_there(stored: Stored, user: User, session: Session) -> None:
    stored.run(lambda tx: tx.users.grant(user.id, "support", NOW))

    def work(tx: Transaction) -> None:
        assert not tx.users.grant(user.id, "support", NOW)
        assert tx.users.grant(user.id, "auditor", NOW)

    stored.run(work)
    assert seen(stored, user, session) == {(("auditor", "support"), 0)}


def test_roles_are_compared_byte_by_byte(stored: Stored, user: User, session: Session) -> None:
    for role in ("admin", "admin.", "admin-"):
        assert stored.run(lambda tx, role=role: tx.users.grant(user.id, role, NOW))  # type: ignore[misc]
    assert stored.run(lambda tx: tx.users.take(user.id, "admin"))
    assert not stored.run(lambda tx: tx.users.take(user.id, "ADMIN-"))
    assert seen(stored, user, session) == {(("admin-", "admin."), 0)}


def test_of_parallel_grants_of_one_role_one_wins(stored: Stored, user: User, session: Session) -> None:
    with ThreadPoolExecutor(10) as threads:
        won = list(threads.map(lambda _: stored.run(lambda tx: tx.users.grant(user.id, "support", NOW)), range(10)))
    assert won.count(True) == 1
    assert seen(stored, user, session) == {(("support",), 0)}


def test_each_generation_follows_the_one_before_also_in_parallel(stored: Stored, user: User, session: Session) -> None:
    assert stored.run(lambda tx: tx.users.begin_generation(user.id)) == 1
    with ThreadPoolExecutor(10) as threads:
        begun = list(threads.map(lambda _: stored.run(lambda tx: tx.users.begin_generation(user.id)), range(20)))
    assert sorted(begun) == list(range(2, 22))
    assert seen(stored, user, session) == {((), 21)}


def test_listing_users_counts_sessions_whatever_roles_there_are(stored: Stored, user: User, session: Session) -> None:
    stored.keep_session(a_session(user))
    for role in ("support", "auditor", "reader"):
        stored.run(lambda tx, role=role: tx.users.grant(user.id, role, NOW))  # type: ignore[misc]
    (listed,) = stored.run(lambda tx: tx.users.page("", 10, NOW))
    assert (listed.live_sessions, listed.roles) == (2, ("auditor", "reader", "support"))


def standing(stored: Stored, session: Session, generation: int) -> Standing:
    return stored.live_sessions.judge(session.id, session.user_id, generation, NOW, Deadline.after(10))


def test_a_token_is_judged_by_its_generation_to_the_number(stored: Stored, user: User, session: Session) -> None:
    for _ in range(3):
        stored.run(lambda tx: tx.users.begin_generation(user.id))
    # A higher one comes from before a restored backup; its holder did nothing wrong.
    judged = [standing(stored, session, generation) for generation in (0, 2, 3, 4, 2**31 - 1)]
    assert judged == [Standing.OUTDATED] * 2 + [Standing.GOOD] * 3


def test_that_a_session_is_over_weighs_more_than_that_a_token_is_outdated(
    stored: Stored, user: User, session: Session
) -> None:
    stored.run(lambda tx: tx.users.begin_generation(user.id))
    stranger = stored.keep_user(a_user())
    foreign = stored.live_sessions.judge(session.id, stranger.id, 0, NOW, Deadline.after(10))
    late = stored.live_sessions.judge(session.id, user.id, 0, session.idle_end, Deadline.after(10))
    assert (foreign, late) == (Standing.SESSION_OVER, Standing.SESSION_OVER)
    stored.run(lambda tx: tx.users.set_disabled(user.id, NOW))
    assert standing(stored, session, 0) is Standing.SESSION_OVER
    stored.run(lambda tx: tx.users.set_disabled(user.id, None))
    assert standing(stored, session, 0) is Standing.OUTDATED
    stored.run(lambda tx: tx.sessions.end(session.id, SessionEnd.LOGOUT, NOW + timedelta(seconds=1)))
    assert standing(stored, session, 0) is Standing.SESSION_OVER


def test_tokens_of_different_generations_are_told_apart_in_one_read(stored: Stored) -> None:
    users = [stored.keep_user(a_user()) for _ in range(12)]
    sessions = [a_session(user) for user in users]
    for number, (user, session) in enumerate(zip(users, sessions, strict=True)):
        stored.keep_session(session)
        for _ in range(number % 3):
            stored.run(lambda tx, user=user: tx.users.begin_generation(user.id))  # type: ignore[misc]
    with ThreadPoolExecutor(12) as threads:
        judged = list(threads.map(lambda session: standing(stored, session, 1), sessions))
    assert judged == [Standing.GOOD, Standing.GOOD, Standing.OUTDATED] * 4
