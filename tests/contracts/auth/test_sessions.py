"""What every store of sessions promises."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from authservice.domain.deadline import Deadline
from authservice.domain.errors import DeadlineTooShort
from authservice.domain.session import Presented, Session, SessionEnd, SessionLimits, Standing
from authservice.domain.user import User
from authservice.storage.engine import open_engine
from authservice.storage.tables.auth import sessions
from tests.contracts.conftest import Stored
from tests.contracts.things import NOW, a_session, a_token, a_user, digest, spent

LATER = NOW + timedelta(hours=1)
LIMITS = SessionLimits(idle=timedelta(hours=1))


@pytest.fixture
def user(stored: Stored) -> User:
    return stored.run(lambda tx: tx.users.add(a_user()))


@pytest.fixture
def session(stored: Stored, user: User) -> Session:
    session = a_session(user)
    stored.run(lambda tx: tx.sessions.add(session))
    return session


def is_live(stored: Stored, session: Session, at: datetime = NOW) -> bool:
    standing = stored.live_sessions.judge(session.id, session.user_id, 0, at, Deadline.after(10))
    return standing is Standing.GOOD


def test_a_session_is_found_as_it_was_kept(stored: Stored, user: User, session: Session) -> None:
    assert stored.run(lambda tx: tx.sessions.get(session.id)) == (session, user)
    assert is_live(stored, session)


def test_adding_the_same_session_again_changes_nothing(stored: Stored, user: User, session: Session) -> None:
    stored.run(lambda tx: tx.sessions.end(session.id, SessionEnd.LOGOUT, NOW))
    stored.run(lambda tx: tx.sessions.add(session))
    assert not is_live(stored, session)


def test_an_unknown_session_is_not_live(stored: Stored, user: User) -> None:
    assert not is_live(stored, a_session(user))
    assert stored.run(lambda tx: tx.sessions.get(a_session(user).id)) is None


def test_s9_a_session_is_over_at_its_idle_end_to_the_microsecond(stored: Stored, session: Session) -> None:
    assert is_live(stored, session, session.idle_end - timedelta(microseconds=1))
    assert not is_live(stored, session, session.idle_end)


def test_a_session_is_live_for_its_own_user_only(stored: Stored, session: Session) -> None:
    stranger = stored.run(lambda tx: tx.users.add(a_user()))
    standing = stored.live_sessions.judge(session.id, stranger.id, 0, NOW, Deadline.after(10))
    assert standing is Standing.SESSION_OVER


def test_ending_a_session_counts_once(stored: Stored, session: Session) -> None:
    assert stored.run(lambda tx: tx.sessions.end(session.id, SessionEnd.LOGOUT, NOW)) == 1
    assert stored.run(lambda tx: tx.sessions.end(session.id, SessionEnd.LOGOUT, NOW)) == 0
    assert not is_live(stored, session)


def test_an_expired_session_does_not_count_as_ended(stored: Stored, session: Session) -> None:
    assert stored.run(lambda tx: tx.sessions.end(session.id, SessionEnd.LOGOUT, session.idle_end)) == 0


def test_ending_all_spares_the_one_to_keep_and_other_users(stored: Stored, user: User, session: Session) -> None:
    stranger = stored.run(lambda tx: tx.users.add(a_user()))
    others = [a_session(user), a_session(user)]
    foreign = a_session(stranger)
    for each in (*others, foreign):
        stored.keep_session(each)
    assert stored.run(lambda tx: tx.sessions.count_live(user.id, NOW)) == 3
    assert stored.run(lambda tx: tx.sessions.end_all(user.id, SessionEnd.LOGOUT, NOW, session.id)) == 2
    assert [is_live(stored, each) for each in (session, *others, foreign)] == [True, False, False, True]
    assert stored.run(lambda tx: tx.sessions.end_all(user.id, SessionEnd.LOGOUT, NOW)) == 1


def test_sessions_of_a_disabled_user_are_not_live(stored: Stored, user: User, session: Session) -> None:
    stored.run(lambda tx: tx.users.set_disabled(user.id, NOW))
    assert not is_live(stored, session)


def test_r1_rotation_replaces_the_token(stored: Stored, session: Session) -> None:
    first, second = a_token(session.id, "first"), a_token(session.id, "second", 1)
    assert stored.run(lambda tx: tx.sessions.rotate_each([spent(session, first, second, NOW, LIMITS)], NOW))
    found = stored.run(lambda tx: tx.sessions.get(session.id))
    assert found is not None
    rotated = found[0]
    assert (rotated.refresh_hash, rotated.spent_hash) == (digest("second"), digest("first"))
    assert (rotated.generation, rotated.rotated_at, rotated.idle_end) == (1, NOW, LATER)
    assert rotated.spent_at == (NOW,)
    assert rotated.judge(digest("second"), 0, NOW) is Presented.JUST_SPENT


def test_rotation_fails_for_spent_foreign_and_dead(stored: Stored, session: Session) -> None:
    first, second = a_token(session.id, "first"), a_token(session.id, "second", 1)
    foreign = a_token(session.id, "foreign")
    assert not stored.run(lambda tx: tx.sessions.rotate_each([spent(session, foreign, second)], NOW))
    assert not stored.run(lambda tx: tx.sessions.rotate_each([spent(session, first, second)], session.idle_end))
    assert stored.run(lambda tx: tx.sessions.rotate_each([spent(session, first, second)], NOW))
    assert not stored.run(lambda tx: tx.sessions.rotate_each([spent(session, first, second)], NOW))
    stored.run(lambda tx: tx.sessions.end(session.id, SessionEnd.LOGOUT, NOW))
    assert not stored.run(
        lambda tx: tx.sessions.rotate_each([spent(session, second, a_token(session.id, "third", 2))], NOW)
    )


def test_r7_rotation_never_passes_the_absolute_end(stored: Stored, session: Session) -> None:
    first, second = a_token(session.id, "first"), a_token(session.id, "second", 1)
    rotation = spent(session, first, second, NOW, SessionLimits(idle=timedelta(days=30)))
    stored.run(lambda tx: tx.sessions.rotate_each([rotation], NOW))
    found = stored.run(lambda tx: tx.sessions.get(session.id))
    assert found is not None
    assert found[0].idle_end == session.absolute_end


def test_many_sessions_are_rotated_in_one_step_each_by_its_own_token(stored: Stored, user: User) -> None:
    sessions = [a_session(user) for _ in range(64)]
    for each in sessions:
        stored.keep_session(each)
    stored.end_session(sessions[0], NOW)
    rotations = [spent(each, a_token(each.id, "first"), a_token(each.id, str(n), 1)) for n, each in enumerate(sessions)]
    assert stored.run(lambda tx: tx.sessions.rotate_each(rotations, NOW)) == 63
    held = stored.run(lambda tx: tx.sessions.hold_each({each.id for each in sessions}))
    assert [held[each.id][0].refresh_hash for each in sessions[1:]] == [digest(str(n)) for n in range(1, 64)]
    assert held[sessions[0].id][0].refresh_hash == digest("first")
    assert {owner for _, owner in held.values()} == {user}


def test_what_is_held_is_what_is_got(stored: Stored, user: User) -> None:
    plain, rotated, ended = (a_session(user) for _ in range(3))
    for each in (plain, rotated, ended):
        stored.keep_session(each)
    tokens = a_token(rotated.id, "first"), a_token(rotated.id, "second", 1)
    stored.run(lambda tx: tx.sessions.rotate_each([spent(rotated, *tokens)], NOW))
    stored.end_session(ended, NOW)
    for role in ("reader", "admin"):
        stored.run(lambda tx, role=role: tx.users.grant(user.id, role, NOW))  # type: ignore[misc]
    for is_disabled in (False, True):
        stored.run(lambda tx, at=NOW if is_disabled else None: tx.users.set_disabled(user.id, at))  # type: ignore[misc]
        got = {each.id: stored.run(lambda tx, each=each: tx.sessions.get(each.id)) for each in (plain, rotated, ended)}  # type: ignore[misc]
        assert stored.run(lambda tx: tx.sessions.hold_each({plain.id, rotated.id, ended.id, UUID(int=1)})) == got


def test_r1_of_fifty_parallel_rotations_one_wins(stored: Stored, session: Session) -> None:
    first, second = a_token(session.id, "first"), a_token(session.id, "second", 1)
    with ThreadPoolExecutor(50) as threads:
        outcomes = list(
            threads.map(
                lambda _: stored.run(lambda tx: tx.sessions.rotate_each([spent(session, first, second)], NOW)),
                range(50),
            )
        )
    assert outcomes.count(True) == 1


def test_parallel_reads_each_get_their_own_answer(stored: Stored, user: User) -> None:
    sessions = [a_session(user) for _ in range(40)]
    for each in sessions:
        stored.keep_session(each)
    for each in sessions[::2]:
        stored.end_session(each, NOW)
    with ThreadPoolExecutor(40) as threads:
        for _ in range(5):
            assert list(threads.map(lambda s: is_live(stored, s), sessions)) == [False, True] * 20


def test_s1_a_read_that_starts_after_an_end_sees_it(stored: Stored, user: User) -> None:
    sessions = [a_session(user) for _ in range(60)]
    for each in sessions:
        stored.keep_session(each)

    def end_then_ask(session: Session) -> bool:
        stored.run(lambda tx: tx.sessions.end(session.id, SessionEnd.LOGOUT, NOW))
        return is_live(stored, session)

    with ThreadPoolExecutor(12) as threads:
        assert not any(threads.map(end_then_ask, sessions))


def test_a_caller_whose_deadline_has_passed_gets_no_transaction(stored: Stored) -> None:
    with pytest.raises(DeadlineTooShort):
        stored.run(lambda tx: tx.users.by_name("ada"), seconds=-1)


def test_the_reason_that_a_later_version_has_given_is_read_as_another(
    stored: Stored, session: Session, database_url: str
) -> None:
    stored.end_session(session, NOW)
    engine = open_engine(database_url, pool_size=1)
    with engine.begin() as connection:
        connection.execute(update(sessions).values(end_reason="of_a_later_version"))
    engine.dispose()
    found = stored.run(lambda tx: tx.sessions.get(session.id))
    assert found
    assert found[0].end_reason is SessionEnd.OTHER
    held = stored.run(lambda tx: tx.sessions.hold_each({session.id}))
    assert held[session.id][0].end_reason is SessionEnd.OTHER
