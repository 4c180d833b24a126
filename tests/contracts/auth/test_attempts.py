"""Attempts are counted before they are made, however many come at once: on each database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from authservice.domain.throttle import ALL, COMPARED_WITHIN, IN_A_ROW, Bucket, Growing, Steady, Tried
from tests.contracts.conftest import Stored
from tests.contracts.things import NOW, a_user, digest

NONE = timedelta()
THREE = Growing(3, most=3)


def admit(stored: Stored, *buckets: Bucket, later: timedelta = NONE) -> timedelta:
    return stored.run(lambda tx: tx.attempts.admit(buckets, NOW + later))


def test_c8_of_parallel_attempts_no_more_are_admitted_than_there_is_room_for(stored: Stored) -> None:
    account = Bucket(digest("ada"), Growing(10, most=10), digest("ada"))
    pairs = [Bucket(digest(f"ada from {number}"), Growing(5), digest("ada")) for number in range(4)]
    with ThreadPoolExecutor(16) as threads:
        waits = list(threads.map(lambda number: admit(stored, account, pairs[number % 4]), range(48)))
    assert waits.count(NONE) == 10


def test_what_one_bucket_has_no_room_for_is_counted_in_none(stored: Stored) -> None:
    full, other = Bucket(digest("full"), THREE), Bucket(digest("other"), THREE)
    for _ in range(3):
        assert admit(stored, full) == NONE
    for _ in range(5):
        assert admit(stored, full, other) > NONE
    assert [admit(stored, other) for _ in range(3)] == [NONE] * 3


def test_success_empties_buckets_and_takes_some_off_others(stored: Stored) -> None:
    account, network = Bucket(digest("account"), THREE), Bucket(digest("network"), Growing(9, most=9))
    for _ in range(3):
        admit(stored, account, network)
    stored.run(lambda tx: tx.attempts.forgive({account.subject: ALL, network.subject: 5, digest("never seen"): 5}))
    assert [admit(stored, account) for _ in range(3)] == [NONE] * 3
    assert [admit(stored, network) for _ in range(9)] == [NONE] * 9
    assert admit(stored, network) > NONE


def test_a_bucket_whose_time_is_over_is_as_new_also_where_nobody_has_cleaned_up(stored: Stored) -> None:
    bucket = Bucket(digest("old"), Steady(1, timedelta(hours=1)))
    assert admit(stored, bucket) == NONE
    assert admit(stored, bucket) > NONE
    assert admit(stored, bucket, later=timedelta(hours=1)) == NONE


def test_c9_an_operator_empties_all_buckets_of_an_account_and_no_others(stored: Stored) -> None:
    mine = [Bucket(digest(f"ada {number}"), THREE, digest("ada")) for number in range(3)]
    theirs = Bucket(digest("bob"), THREE, digest("bob"))
    for _ in range(3):
        admit(stored, *mine, theirs)
    stored.run(lambda tx: tx.attempts.remember(Tried(digest("secret"), digest("ada")), NOW + timedelta(hours=1)))
    assert stored.run(lambda tx: tx.attempts.clear_owned(digest("ada"))) == 4
    assert admit(stored, *mine) == NONE
    assert admit(stored, theirs) > NONE


def test_c8_one_secret_that_many_try_at_once_is_one_guess(stored: Stored) -> None:
    account, tried = Bucket(digest("ada"), THREE, digest("ada")), Tried(digest("secret"), digest("ada"))

    def attempt(_: int) -> timedelta:
        return stored.run(lambda tx: tx.attempts.admit([account], NOW, tried))

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(attempt, range(32))) == {NONE}
    assert [admit(stored, account) for _ in range(2)] == [NONE] * 2
    assert admit(stored, account) > NONE


def test_what_was_tried_is_remembered_for_its_time_or_until_it_is_forgotten(stored: Stored) -> None:
    bucket, tried = Bucket(digest("ada"), Growing(9, most=1)), Tried(digest("secret"), digest("ada"))

    def again(later: timedelta) -> timedelta:
        return stored.run(lambda tx: tx.attempts.admit([bucket], NOW + later, tried))

    hour = timedelta(hours=1)
    assert again(NONE) == NONE
    assert again(COMPARED_WITHIN) > NONE
    stored.run(lambda tx: tx.attempts.remember(tried, NOW + hour))
    assert again(COMPARED_WITHIN) == NONE
    assert again(hour) > NONE
    stored.run(lambda tx: tx.attempts.forget(tried, NOW))
    assert again(NONE) > NONE


def known(stored: Stored, what: str, moment: datetime) -> bool:
    return stored.run(lambda tx: tx.attempts.is_known_network(digest(what), moment))


def test_networks_are_known_for_their_time(stored: Stored) -> None:
    user, until = stored.keep_user(a_user()), NOW + timedelta(hours=1)
    for _ in range(2):
        stored.run(lambda tx: tx.attempts.know_network(user.id, digest("home"), until))
    assert known(stored, "home", NOW)
    assert not known(stored, "home", until)
    assert not known(stored, "elsewhere", NOW)


def test_what_is_over_is_cleaned_up(stored: Stored) -> None:
    user = stored.keep_user(a_user())
    stored.run(lambda tx: tx.attempts.remember(Tried(digest("secret"), digest("ada")), NOW))
    stored.run(lambda tx: tx.attempts.know_network(user.id, digest("home"), NOW))
    admit(stored, Bucket(digest("ada"), IN_A_ROW))
    assert stored.run(lambda tx: tx.expired.purge(NOW, 100)) == 2
