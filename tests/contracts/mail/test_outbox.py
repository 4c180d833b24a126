"""What every outbox promises."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from authservice.domain.mail import QueuedMail
from tests.contracts.conftest import Stored
from tests.contracts.mail.things import a_mail, a_token_for
from tests.contracts.things import NOW, digest

LATER = NOW + timedelta(minutes=1)


def keep(stored: Stored, mail: QueuedMail) -> None:
    stored.run(lambda tx: tx.outbox.add(mail))


def test_a_mail_is_found_as_it_was_kept_until_it_is_removed(stored: Stored) -> None:
    mail = a_mail()
    for _ in range(2):
        stored.run(lambda tx: tx.outbox.add(mail))
    assert stored.run(lambda tx: tx.outbox.due(NOW, 10)) == [mail]
    stored.run(lambda tx: tx.outbox.remove(mail.id))
    assert stored.run(lambda tx: tx.outbox.due(NOW, 10)) == []


def test_what_is_not_due_is_not_found_and_the_longest_wait_comes_first(stored: Stored) -> None:
    later, second, first = a_mail(due_at=LATER), a_mail(), a_mail(due_at=NOW - timedelta(seconds=1))
    for mail in (later, second, first):
        keep(stored, mail)
    assert stored.run(lambda tx: tx.outbox.due(NOW, 10)) == [first, second]
    assert stored.run(lambda tx: tx.outbox.due(LATER, 1)) == [first]
    assert stored.run(lambda tx: tx.outbox.waiting()) == 3


def test_of_twenty_workers_one_gets_a_mail_and_another_when_that_ones_time_is_over(stored: Stored) -> None:
    mail = a_mail()
    stored.run(lambda tx: tx.outbox.add(mail))
    for attempts in range(2):
        seen = replace(mail, attempts=attempts)
        with ThreadPoolExecutor(20) as threads:
            won = list(threads.map(lambda _: stored.run(lambda tx: tx.outbox.claim(seen, LATER)), range(20)))  # noqa: B023
        assert won.count(True) == 1
        assert stored.run(lambda tx: tx.outbox.due(NOW, 10)) == []
        assert stored.run(lambda tx: tx.outbox.due(LATER, 10)) == [replace(mail, attempts=attempts + 1, due_at=LATER)]


def test_a_mail_that_was_put_off_is_due_when_that_was_said(stored: Stored) -> None:
    mail = a_mail()
    stored.run(lambda tx: tx.outbox.add(mail))
    stored.run(lambda tx: tx.outbox.put_off(mail.id, LATER))
    assert stored.run(lambda tx: tx.outbox.due(NOW, 10)) == []
    assert [each.id for each in stored.run(lambda tx: tx.outbox.due(LATER, 10))] == [mail.id]


def test_p6_an_address_gets_five_mails_in_any_hour_however_many_ask_at_once(stored: Stored) -> None:
    subject = digest("ada@example.com")
    with ThreadPoolExecutor(20) as threads:
        taken = list(threads.map(lambda _: stored.run(lambda tx: tx.mail_quotas.take(subject, NOW, 5)), range(40)))
    assert taken.count(True) == 5
    almost = NOW + timedelta(hours=1) - timedelta(seconds=1)
    assert not stored.run(lambda tx: tx.mail_quotas.take(subject, almost, 5))
    assert stored.run(lambda tx: tx.mail_quotas.take(digest("bob@example.com"), NOW, 5))
    assert stored.run(lambda tx: tx.mail_quotas.take(subject, NOW + timedelta(hours=1), 5))


def test_tokens_mail_and_quotas_are_deleted_when_their_time_is_long_over(stored: Stored) -> None:
    stored.run(lambda tx: tx.one_time_tokens.put(a_token_for(None)))
    stored.run(lambda tx: tx.outbox.add(a_mail()))
    stored.run(lambda tx: tx.mail_quotas.take(digest("ada@example.com"), NOW, 5))
    assert stored.run(lambda tx: tx.expired.purge(NOW, 10)) == 0
    assert stored.run(lambda tx: tx.expired.purge(NOW + timedelta(hours=1), 10)) == 3


def test_all_tokens_and_all_mail_can_be_forgotten(stored: Stored) -> None:
    for _ in range(3):
        stored.run(lambda tx: tx.one_time_tokens.put(a_token_for(None)))
        stored.run(lambda tx: tx.outbox.add(a_mail()))
    assert [stored.run(lambda tx: tx.one_time_tokens.forget(2)) for _ in range(3)] == [2, 1, 0]
    assert [stored.run(lambda tx: tx.outbox.forget(2)) for _ in range(3)] == [2, 1, 0]
