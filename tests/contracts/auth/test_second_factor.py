"""What the stores of second factors and challenges promise, on each database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import pytest
from uuid6 import uuid7

from authservice.domain.challenge import CHALLENGE_LIFE, MOST_TRIES, Challenge, Purpose
from authservice.domain.second_factor import TotpFactor
from authservice.domain.session import Opening
from authservice.domain.user import User
from tests.contracts.conftest import Stored
from tests.contracts.things import NOW, a_session, a_user, digest

T = TypeVar("T")
STEP = 59_000_000
BEFORE_ALL = UUID(int=0)


@pytest.fixture
def user(stored: Stored) -> User:
    return stored.keep_user(a_user())


@pytest.fixture
def confirmed(stored: Stored, user: User) -> User:
    """Return a user with a factor whose first code was of STEP."""
    stored.run(lambda tx: tx.totp_factors.begin(TotpFactor(user.id, b"sealed", NOW)))
    assert stored.run(lambda tx: tx.totp_factors.confirm(user.id, STEP, NOW))
    return user


def a_challenge(user: User) -> Challenge:
    opening = Opening("Firefox ☃", "192.0.2.7", ("pwd",), is_remembered=True)
    return Challenge(uuid7(), user.id, Purpose.LOGIN, digest("secret"), 3, NOW + CHALLENGE_LIFE, opening)


def at_once(count: int, work: Callable[[int], T]) -> list[T]:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(work, range(count)))


def test_a_factor_is_found_as_it_was_kept_and_confirmed_once(stored: Stored, user: User) -> None:
    factor = TotpFactor(user.id, b"sealed", NOW)
    assert stored.run(lambda tx: tx.totp_factors.get(user.id)) is None
    assert stored.run(lambda tx: tx.totp_factors.begin(factor))
    assert stored.run(lambda tx: tx.totp_factors.get(user.id)) == factor
    assert not stored.run(lambda tx: tx.totp_factors.use_step(user.id, STEP)), "nothing is asked for yet"
    assert stored.run(lambda tx: tx.totp_factors.confirm(user.id, STEP, NOW))
    assert not stored.run(lambda tx: tx.totp_factors.confirm(user.id, STEP + 1, NOW))
    assert stored.run(lambda tx: tx.totp_factors.get(user.id)) == replace(factor, confirmed_at=NOW, last_step=STEP)


def test_m6_a_secret_that_waits_for_its_code_gives_way_to_another_and_a_confirmed_one_does_not(
    stored: Stored, user: User
) -> None:
    for sealed in (b"first", b"second"):
        assert stored.run(lambda tx, sealed=sealed: tx.totp_factors.begin(TotpFactor(user.id, sealed, NOW)))  # type: ignore[misc]
    stored.run(lambda tx: tx.totp_factors.confirm(user.id, STEP, NOW))
    assert not stored.run(lambda tx: tx.totp_factors.begin(TotpFactor(user.id, b"third", NOW)))
    found = stored.run(lambda tx: tx.totp_factors.get(user.id))
    assert found
    assert found.sealed == b"second"


def test_m3_of_a_hundred_parallel_uses_of_one_code_one_succeeds(stored: Stored, confirmed: User) -> None:
    used = at_once(100, lambda _: stored.run(lambda tx: tx.totp_factors.use_step(confirmed.id, STEP + 1), 60))
    assert used.count(True) == 1


def test_m3_the_step_of_setting_up_and_every_older_one_is_used(stored: Stored, confirmed: User) -> None:
    def use(step: int) -> bool:
        return stored.run(lambda tx: tx.totp_factors.use_step(confirmed.id, step))

    assert not any(map(use, (STEP, STEP - 1)))
    assert use(STEP + 2)
    assert not any(map(use, (STEP + 1, STEP + 2)))
    assert use(STEP + 3)


def test_of_parallel_removals_one_removes(stored: Stored, confirmed: User) -> None:
    removed = at_once(10, lambda _: stored.run(lambda tx: tx.totp_factors.remove(confirmed.id)))
    assert removed.count(True) == 1
    assert stored.run(lambda tx: tx.totp_factors.get(confirmed.id)) is None


def test_an_unconfirmed_factor_is_removed_and_was_none(stored: Stored, user: User) -> None:
    stored.run(lambda tx: tx.totp_factors.begin(TotpFactor(user.id, b"sealed", NOW)))
    assert not stored.run(lambda tx: tx.totp_factors.remove(user.id))
    assert stored.run(lambda tx: tx.totp_factors.get(user.id)) is None


def test_y6_every_secret_is_found_in_pages_and_resealed_unless_it_was_replaced(stored: Stored) -> None:
    users = sorted(stored.keep_user(a_user()).id for _ in range(5))
    for each in users:
        stored.run(lambda tx, each=each: tx.totp_factors.begin(TotpFactor(each, b"old", NOW)))  # type: ignore[misc]
    first = stored.run(lambda tx: tx.totp_factors.page(BEFORE_ALL, 3))
    rest = stored.run(lambda tx: tx.totp_factors.page(first[-1].user_id, 3))
    assert [each.user_id for each in (*first, *rest)] == users
    stored.run(lambda tx: tx.totp_factors.reseal(users[0], b"old", b"new"))
    stored.run(lambda tx: tx.totp_factors.reseal(users[1], b"older", b"new"))
    assert [each.sealed for each in stored.run(lambda tx: tx.totp_factors.page(BEFORE_ALL, 2))] == [b"new", b"old"]


def test_m8_of_fifty_parallel_uses_of_one_recovery_code_one_succeeds(stored: Stored, user: User) -> None:
    other = stored.keep_user(a_user())
    hashes = [digest(str(number)) for number in range(10)]
    for each in (user, other):
        stored.run(lambda tx, each=each: tx.recovery_codes.replace(each.id, hashes, NOW))  # type: ignore[misc]
    spent = at_once(50, lambda _: stored.run(lambda tx: tx.recovery_codes.spend(user.id, hashes[0]), 60))
    assert spent.count(True) == 1
    assert stored.run(lambda tx: tx.recovery_codes.count(user.id)) == 9
    assert stored.run(lambda tx: tx.recovery_codes.count(other.id)) == 10


def test_m8_new_recovery_codes_void_the_old(stored: Stored, user: User) -> None:
    stored.run(lambda tx: tx.recovery_codes.replace(user.id, [digest("old")], NOW))
    stored.run(lambda tx: tx.recovery_codes.replace(user.id, [digest("new")], NOW))
    assert not stored.run(lambda tx: tx.recovery_codes.spend(user.id, digest("old")))
    assert stored.run(lambda tx: tx.recovery_codes.spend(user.id, digest("new")))
    stored.run(lambda tx: tx.recovery_codes.replace(user.id, [], NOW))
    assert stored.run(lambda tx: tx.recovery_codes.count(user.id)) == 0


def test_m4_of_a_hundred_parallel_tries_five_are_let_through(stored: Stored, user: User) -> None:
    challenge = a_challenge(user)
    stored.run(lambda tx: tx.challenges.add(challenge, NOW))
    found = at_once(
        100, lambda _: stored.run(lambda tx: tx.challenges.count_try(challenge.id, digest("secret"), NOW), 60)
    )
    let_through = [each for each in found if each]
    assert sorted(each.tries_left for each in let_through) == list(range(MOST_TRIES))
    assert {replace(each, tries_left=MOST_TRIES) == challenge for each in let_through} == {True}


def test_m4_a_challenge_that_is_open_keeps_its_count_and_one_that_is_over_begins_anew(
    stored: Stored, user: User
) -> None:
    challenge = a_challenge(user)
    later = replace(challenge, expires_at=challenge.expires_at + CHALLENGE_LIFE)
    tries = []
    for each, now in ((challenge, NOW), (later, NOW), (later, challenge.expires_at)):
        stored.run(lambda tx, each=each, now=now: tx.challenges.add(each, now))  # type: ignore[misc]
        counted = stored.run(lambda tx, now=now: tx.challenges.count_try(challenge.id, digest("secret"), now))  # type: ignore[misc]
        assert counted
        tries.append(counted.tries_left)
    assert tries == [MOST_TRIES - 1, MOST_TRIES - 2, MOST_TRIES - 1]


def test_m5_a_challenge_is_over_when_its_time_is_and_met_once(stored: Stored, user: User) -> None:
    challenge = a_challenge(user)
    stored.run(lambda tx: tx.challenges.add(challenge, NOW))
    assert stored.run(lambda tx: tx.challenges.count_try(challenge.id, digest("secret"), challenge.expires_at)) is None
    last_moment = challenge.expires_at - timedelta(microseconds=1)
    assert stored.run(lambda tx: tx.challenges.count_try(challenge.id, digest("other"), last_moment)) is None
    left = stored.run(lambda tx: tx.challenges.count_try(challenge.id, digest("secret"), last_moment))
    assert left
    assert left.tries_left == MOST_TRIES - 1, "whoever does not know the secret takes no try"
    met = at_once(20, lambda _: stored.run(lambda tx: tx.challenges.spend(challenge.id), 60))
    assert met.count(True) == 1
    assert stored.run(lambda tx: tx.challenges.count_try(challenge.id, digest("secret"), NOW)) is None


def test_challenges_whose_time_is_over_are_cleaned_up(stored: Stored, user: User) -> None:
    challenge = a_challenge(user)
    stored.run(lambda tx: tx.challenges.add(challenge, NOW))
    assert stored.run(lambda tx: tx.expired.purge(challenge.expires_at - timedelta(microseconds=1), 10)) == 0
    assert stored.run(lambda tx: tx.expired.purge(challenge.expires_at, 10)) == 1


def test_a_change_of_what_proves_a_user_is_counted(stored: Stored, user: User) -> None:
    for _ in range(2):
        stored.run(lambda tx: tx.users.begin_secret_generation(user.id))
    session = a_session(user)
    stored.keep_session(session)
    by_lock = stored.run(lambda tx: tx.users.lock(user.id))
    by_name = stored.run(lambda tx: tx.users.by_name(user.name.canonical))
    _, held = stored.run(lambda tx: tx.sessions.hold_each({session.id}))[session.id]
    assert by_lock == by_name == held == replace(user, secret_generation=2)


def test_a_session_says_when_and_how_its_user_was_proved_last_unless_it_has_ended(stored: Stored, user: User) -> None:
    session = a_session(user)
    stored.keep_session(session)
    proved = replace(
        session,
        authenticated_at=NOW + timedelta(hours=1),
        auth_methods=("pwd", "otp", "mfa"),
        token_end=NOW + timedelta(hours=2),
    )
    assert stored.run(lambda tx: tx.sessions.step_up(proved))
    assert stored.run(lambda tx: tx.sessions.get(session.id)) == (proved, user)
    stored.end_session(session, NOW)
    assert not stored.run(lambda tx: tx.sessions.step_up(session))
