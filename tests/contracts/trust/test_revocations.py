"""What every store promises about the rules by which services refuse tokens: who writes them, and what is read."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from authservice.domain.deadline import Deadline
from authservice.domain.revocation import LATE, Revocation, least_token_end
from authservice.domain.session import Session, SessionEnd, SessionLimits, Standing
from authservice.domain.user import User
from authservice.ports import Transaction
from tests.contracts.conftest import Stored
from tests.contracts.things import NOW, a_session, a_token, a_user, spent

TOKEN_END = NOW + timedelta(minutes=15)
TICK = timedelta(microseconds=1)
LOGOUT = SessionEnd.LOGOUT


@pytest.fixture
def user(stored: Stored) -> User:
    return stored.keep_user(a_user())


@pytest.fixture
def session(stored: Stored, user: User) -> Session:
    return kept(stored, user)


def kept(stored: Stored, user: User, token_end: datetime | None = TOKEN_END, **fields: object) -> Session:
    """Return a stored session whose last access token ends as given."""
    session = a_session(user, token_end=token_end, **fields)
    stored.keep_session(session)
    return session


def said(rules: list[Revocation]) -> set[tuple[object, int, datetime]]:
    """Return what rules say, without their numbers."""
    assert len({rule.seq for rule in rules}) == len(rules)
    assert [rule.seq for rule in rules] == sorted(rule.seq for rule in rules)
    found = [(rule.subject, rule.min_generation, rule.token_end) for rule in rules]
    assert len(set(found)) == len(found), "no rule is there twice"
    return set(found)


def over(*sessions: Session) -> set[tuple[object, int, datetime]]:
    """Return the rules that these sessions' end asks for."""
    return {(session.id, 0, session.token_end or session.absolute_end) for session in sessions}


def test_s2_ending_a_session_appends_the_one_rule_about_its_tokens(stored: Stored, session: Session) -> None:
    assert stored.rules() == []
    assert stored.end_session(session, NOW) == 1
    assert said(stored.rules()) == over(session)


def test_ending_what_has_ended_or_is_unknown_appends_nothing(stored: Stored, user: User, session: Session) -> None:
    stored.end_session(session, NOW)
    for nobody_live in (session, a_session(user)):
        assert stored.end_session(nobody_live, NOW) == 0
    assert stored.run(lambda tx: tx.sessions.end_all(user.id, LOGOUT, NOW)) == 0
    assert said(stored.rules()) == over(session)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=49)])
def test_what_is_over_by_a_clock_that_is_ahead_ends_for_good_with_its_rule(
    stored: Stored, user: User, session: Session, ahead: timedelta
) -> None:
    others = [kept(stored, user) for _ in range(3)]
    live = kept(stored, user, idle_end=NOW + 2 * ahead, absolute_end=NOW + 2 * ahead)
    assert stored.end_session(session, NOW + ahead) == 0
    assert said(stored.rules()) == over(session)
    assert stored.end_session(session, NOW + ahead) == 0, "it has ended already"
    asked = {others[0].id, live.id}
    assert stored.run(lambda tx: tx.sessions.end_each(asked, LOGOUT, NOW + ahead)) == {live.id}
    assert said(stored.rules()) == over(session, others[0], live)
    assert stored.run(lambda tx: tx.sessions.end_all(user.id, LOGOUT, NOW + ahead)) == 0
    assert said(stored.rules()) == over(session, live, *others)
    for each in (session, live, *others):
        assert stored.live_sessions.judge(each.id, user.id, 0, NOW, Deadline.after(10)) is Standing.SESSION_OVER
    assert {rule.subject for rule in stored.log.all(NOW)} == {each.id for each in (session, live, *others)}


def test_no_refresh_forgets_a_token_that_was_issued_while_the_clock_was_ahead(
    stored: Stored, user: User, session: Session
) -> None:
    first, second, third = (a_token(session.id, text, number) for number, text in enumerate(("first", "2nd", "3rd")))
    ahead = NOW + timedelta(minutes=20)
    limits = SessionLimits()
    early = spent(session, first, second, ahead, limits)
    stored.run(lambda tx: tx.sessions.rotate_each([early], ahead))
    stored.run(lambda tx: tx.sessions.rotate_each([spent(early[1], second, third, NOW, limits)], NOW))
    stored.end_session(session, NOW)
    assert said(stored.rules()) == {(session.id, 0, ahead + limits.access_token)}
    assert session.rotated(second.hash, ahead, limits).rotated(third.hash, NOW, limits).token_end == (
        ahead + limits.access_token
    )


@pytest.mark.parametrize("reason", SessionEnd)
def test_ending_all_appends_one_rule_for_each_and_counts_the_live(
    stored: Stored, user: User, reason: SessionEnd
) -> None:
    live = [kept(stored, user, TOKEN_END + timedelta(seconds=number)) for number in range(3)]
    idle = kept(stored, user, idle_end=NOW)
    kept(stored, user, ended_at=NOW - timedelta(minutes=1))
    kept(stored, stored.keep_user(a_user()))
    assert stored.run(lambda tx: tx.sessions.end_all(user.id, reason, NOW)) == 3
    assert said(stored.rules()) == over(*live, idle)


def test_ending_the_others_leaves_the_one_to_keep_without_a_rule(stored: Stored, user: User, session: Session) -> None:
    others = [kept(stored, user) for _ in range(2)]
    assert stored.run(lambda tx: tx.sessions.end_all(user.id, LOGOUT, NOW, session.id)) == 2
    assert said(stored.rules()) == over(*others)
    stored.end_session(session, NOW + TICK)
    assert said(stored.rules()) == over(session, *others)


def test_sessions_that_two_calls_end_at_the_same_instant_have_one_rule_each(stored: Stored, user: User) -> None:
    first, second = kept(stored, user), kept(stored, user)
    stored.end_session(first, NOW)
    assert stored.run(lambda tx: tx.sessions.end_all(user.id, LOGOUT, NOW)) == 1
    assert said(stored.rules()) == over(first, second)


def test_a_session_of_the_first_schema_is_revoked_until_its_absolute_end(stored: Stored, user: User) -> None:
    old = kept(stored, user, token_end=None)
    stored.end_session(old, NOW)
    assert said(stored.rules()) == {(old.id, 0, old.absolute_end)}


def test_a_session_whose_tokens_have_all_expired_has_its_rule_in_case_the_clock_is_ahead(
    stored: Stored, user: User
) -> None:
    gone = kept(stored, user, NOW - LATE)
    last = kept(stored, user, NOW - LATE + TICK)
    assert stored.run(lambda tx: tx.sessions.end_all(user.id, LOGOUT, NOW)) == 2
    assert said(stored.rules()) == over(gone, last)
    assert {rule.subject for rule in stored.log.all(NOW - timedelta(minutes=20))} == {gone.id, last.id}


def test_a_refresh_moves_the_end_of_the_rule_but_never_past_the_session(stored: Stored, session: Session) -> None:
    later = TOKEN_END + timedelta(minutes=5)
    first, second, third = (a_token(session.id, text, number) for number, text in enumerate(("first", "2nd", "3rd")))
    limits = SessionLimits(idle=later - NOW, access_token=later - NOW)
    once = spent(session, first, second, NOW, limits)
    assert stored.run(lambda tx: tx.sessions.rotate_each([once], NOW))
    found = stored.run(lambda tx: tx.sessions.get(session.id))
    assert found
    assert found[0].token_end == later
    too_late = session.absolute_end + timedelta(days=1)
    limits = SessionLimits(too_late - NOW, access_token=too_late - NOW)
    twice = spent(once[1], second, third, NOW, limits)
    assert stored.run(lambda tx: tx.sessions.rotate_each([twice], NOW))
    stored.end_session(session, NOW)
    assert said(stored.rules()) == {(session.id, 0, session.absolute_end)}


def test_a_transaction_that_raises_leaves_neither_end_nor_rule(stored: Stored, user: User, session: Session) -> None:
    def fail(tx: Transaction) -> None:
        assert tx.sessions.end(session.id, LOGOUT, NOW) == 1
        tx.sessions.outdate_tokens(user.id, tx.users.begin_generation(user.id))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stored.run(fail)
    assert stored.rules() == []
    assert stored.end_session(session, NOW) == 1, "it is still live"


def test_of_parallel_ends_one_writes_the_rule(stored: Stored, session: Session) -> None:
    with ThreadPoolExecutor(20) as threads:
        moments = [NOW + number * TICK for number in range(20)]
        assert sum(threads.map(lambda moment: stored.end_session(session, moment), moments)) == 1
    assert said(stored.rules()) == over(session)


def test_outdating_appends_one_rule_until_the_last_token_of_all_sessions(
    stored: Stored, user: User, session: Session
) -> None:
    latest = kept(stored, user, TOKEN_END + timedelta(minutes=9))
    kept(stored, user, NOW - timedelta(hours=1))
    kept(stored, stored.keep_user(a_user()), TOKEN_END + timedelta(hours=1))
    # Also the tokens of a session that was ended: their rule would be enough, and more does no harm.
    stored.run(lambda tx: tx.sessions.outdate_tokens(user.id, 3))
    assert said(stored.rules()) == {(user.id, 3, latest.token_end)}


def test_outdating_counts_a_session_of_the_first_schema_to_its_absolute_end(stored: Stored, user: User) -> None:
    kept(stored, user)
    old = kept(stored, user, token_end=None)
    stored.run(lambda tx: tx.sessions.outdate_tokens(user.id, 1))
    assert said(stored.rules()) == {(user.id, 1, old.absolute_end)}


def test_outdating_a_user_without_sessions_appends_nothing(stored: Stored, user: User) -> None:
    kept(stored, stored.keep_user(a_user()))
    stored.run(lambda tx: tx.sessions.outdate_tokens(user.id, 1))
    assert stored.rules() == []


def test_outdating_tokens_that_have_expired_appends_a_rule_in_case_the_clock_is_ahead(
    stored: Stored, user: User
) -> None:
    old = kept(stored, user, NOW - LATE)
    stored.run(lambda tx: tx.sessions.outdate_tokens(user.id, 1))
    assert said(stored.rules()) == {(user.id, 1, old.token_end)}


def write(stored: Stored, user: User, *token_ends: datetime) -> list[Revocation]:
    """Write one rule for each, and return them."""
    before = len(stored.rules())
    for token_end in token_ends:
        ended = kept(stored, user, token_end)
        stored.run(lambda tx, session=ended: tx.sessions.end(session.id, LOGOUT, NOW))  # type: ignore[misc]
    return stored.rules()[before:]


def test_the_log_answers_what_has_a_higher_number_in_order(stored: Stored, user: User) -> None:
    rules = write(stored, user, *[TOKEN_END] * 4)
    assert [rule.seq for rule in rules] == sorted({rule.seq for rule in rules})
    assert rules[0].seq > 0
    assert stored.log.after(0) == rules
    assert stored.log.after(rules[1].seq) == rules[2:]
    assert stored.log.after(rules[3].seq) == stored.log.after(rules[3].seq + 1000) == []


@pytest.mark.parametrize("now", [NOW, NOW.replace(second=0, microsecond=0), NOW.replace(second=59, microsecond=999999)])
def test_a_rule_matters_until_the_whole_minute_in_which_it_expires(stored: Stored, user: User, now: datetime) -> None:
    limit = least_token_end(now)
    ends = [limit - TICK, limit, limit + TICK, limit + timedelta(hours=1)]
    rules = [Revocation(0, user.id, 0, token_end) for token_end in ends]
    assert [rule.expires_at > now for rule in rules] == [False, False, True, True], "as watchers see it"
    # Written while they mattered; the log reads what is stored, whatever the time.
    sessions = [kept(stored, user, end) for end in ends]
    early = ends[0] - timedelta(minutes=10)
    for session in sessions:
        stored.end_session(session, early)
        early += TICK
    alive = {session.id for session in sessions[2:]}
    assert {rule.subject for rule in stored.log.all(now)} == alive
    every = stored.rules()
    assert stored.log.counted_after(0, now) == (every, 2)
    assert stored.log.counted_after(every[2].seq, now) == (every[3:], 2)
    assert stored.log.counted_after(every[3].seq, now) == ([], 2)
    assert stored.log.counted_after(0, ends[3] + timedelta(hours=1)) == (every, 0)


def test_a_rule_is_read_as_it_was_written_to_the_microsecond(stored: Stored, user: User) -> None:
    ends = [TOKEN_END.replace(microsecond=0), TOKEN_END.replace(microsecond=1), TOKEN_END.replace(microsecond=999999)]
    rules = write(stored, user, *ends)
    assert [rule.token_end for rule in rules] == ends
    assert stored.log.all(NOW) == rules


def test_number_and_count_come_from_one_moment(stored: Stored, user: User) -> None:
    sessions = [kept(stored, user) for _ in range(60)]
    known: set[Revocation] = set()
    with ThreadPoolExecutor(4) as threads:
        # One after the other in each of four threads: a rule with a lower number may well be committed later.
        ends = [threads.submit(stored.end_session, each, NOW + i * TICK) for i, each in enumerate(sessions)]
        while not all(end.done() for end in ends):
            rules, count = stored.log.counted_after(0, NOW)
            assert len(rules) == count
            assert known <= set(rules)
            known |= set(rules)
    assert stored.log.counted_after(0, NOW)[1] == 60


def test_what_was_deleted_frees_no_number(stored: Stored, user: User) -> None:
    old = write(stored, user, NOW + timedelta(minutes=1), NOW + timedelta(minutes=2))
    purged = NOW + timedelta(minutes=2)
    assert stored.run(lambda tx: tx.expired.purge(purged - TICK, 10)) == 1
    assert stored.rules() == old[1:]
    assert stored.run(lambda tx: tx.expired.purge(purged, 10)) == 1
    assert stored.rules() == []
    (new,) = write(stored, user, TOKEN_END)
    assert new.seq > old[1].seq


def test_rules_are_deleted_in_batches_the_oldest_first(stored: Stored, user: User) -> None:
    rules = write(stored, user, *[NOW + timedelta(minutes=number) for number in (3, 1, 2, 4)])
    end = NOW + timedelta(minutes=3)
    assert stored.run(lambda tx: tx.expired.purge(end, 2)) == 2
    assert stored.run(lambda tx: tx.expired.purge(end, 2)) == 1
    assert stored.run(lambda tx: tx.expired.purge(end, 2)) == 0
    assert stored.rules() == rules[3:]


def test_sessions_that_end_together_end_as_if_each_had_ended_alone(stored: Stored, user: User) -> None:
    first, second, ended = kept(stored, user), kept(stored, user), kept(stored, user)
    stored.end_session(ended, NOW)
    unknown = a_session(user)
    wanted = {first.id, second.id, ended.id, unknown.id}
    assert stored.run(lambda tx: tx.sessions.end_each(wanted, LOGOUT, NOW + TICK)) == {first.id, second.id}
    assert stored.run(lambda tx: tx.sessions.end_each(wanted, LOGOUT, NOW + TICK)) == set()
    assert said(stored.rules()) == over(first, second, ended)
