"""Mail leaves the outbox once it was taken, and not before, whatever the mail server does."""

import email
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from uuid6 import uuid7

from authservice import bootstrap
from authservice.bootstrap.mail import envelopes
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.domain.mail import Letter, MailKind
from authservice.ports import CourierAway, last_counts
from tests.conftest import CHEAPEST, MASTER_KEY, RecordedAudit, SettableClock
from tests.faults.processes import running_server
from tests.mail.servers import Postbox, smtp_server
from tests.mariadb import free_port

SECONDS = 30.0


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture
def smtp_port(postbox: Postbox) -> Iterator[int]:
    with smtp_server(postbox) as port:
        yield port


@pytest.fixture
def smtp_settings(settings: Settings, smtp_port: int) -> Settings:
    return by_smtp(settings, smtp_port)


@pytest.fixture
def service(smtp_settings: Settings, clock: SettableClock, audit: RecordedAudit) -> Iterator[bootstrap.Service]:
    assembled = bootstrap.assemble(smtp_settings, clock=clock, audit=audit, hash_cost=CHEAPEST)
    yield assembled
    assembled.close()


def by_smtp(settings: Settings, port: int) -> Settings:
    return settings.model_copy(
        update={"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "plain", "smtp_timeout": 5.0}
    )


def post(service: bootstrap.Service, address: str = "ada@example.com") -> Letter:
    """Put a mail into the outbox."""
    now = service.parts.clock()
    facts = {"token": "reset.token-canary"}
    letter = Letter(uuid7(), MailKind.RESET, facts, now, now + timedelta(minutes=15), address)
    mail = envelopes(service.parts).seal(letter)
    service.parts.database.transact(lambda tx: tx.outbox.add(mail), Deadline.after(SECONDS), settle=last_counts)
    return letter


def waiting(service: bootstrap.Service) -> int:
    return service.parts.database.read(lambda tx: tx.outbox.waiting(), Deadline.after(SECONDS))


def told(audit: RecordedAudit) -> list[tuple[str, object]]:
    """Return what the record says of mails."""
    return [(name, facts.get("reason")) for name, facts in audit.events if name.startswith("mail_")]


def message_id(letter: Letter) -> str:
    return f"<{letter.id}@localhost>"


def test_a_mail_is_sent_once_and_is_gone(service: bootstrap.Service, postbox: Postbox, audit: RecordedAudit) -> None:
    letter = post(service)
    assert service.mail.deliver(SECONDS).sent == 1
    assert service.mail.deliver(SECONDS).sent == 0
    assert [message["Message-ID"] for message in postbox.taken] == [message_id(letter)]
    assert audit.events[-1] == ("mail_sent", {"mail_id": str(letter.id), "kind": "reset", "attempts": 1})


def test_a_mail_that_is_put_off_is_sent_later_as_the_same_message(
    service: bootstrap.Service, postbox: Postbox, clock: SettableClock
) -> None:
    letter = post(service)
    postbox.answers = ["451 greylisted", "451 greylisted"]
    assert service.mail.deliver(SECONDS).put_off == 1
    assert service.mail.deliver(SECONDS).put_off == 0, "not at once"
    clock.advance(seconds=7)
    assert service.mail.deliver(SECONDS).put_off == 1
    clock.advance(seconds=7)
    assert service.mail.deliver(SECONDS).sent == 0, "each pause is longer than the one before"
    clock.advance(seconds=7)
    assert service.mail.deliver(SECONDS).sent == 1
    assert {message["Message-ID"] for message in postbox.taken} == {message_id(letter)}


def test_nothing_is_lost_while_the_server_is_down(
    settings: Settings, service: bootstrap.Service, postbox: Postbox, clock: SettableClock
) -> None:
    down = bootstrap.assemble(by_smtp(settings, free_port()), clock=clock, hash_cost=CHEAPEST)
    letters = [post(service) for _ in range(3)]
    for _ in letters:
        with pytest.raises(CourierAway):
            down.mail.deliver(SECONDS)
    down.close()
    assert waiting(service) == 3
    clock.advance(seconds=10)
    assert service.mail.deliver(SECONDS).sent == 3
    assert {message["Message-ID"] for message in postbox.taken} == set(map(message_id, letters))


def test_a_mail_whose_time_is_over_is_given_up_and_that_is_told(
    service: bootstrap.Service, postbox: Postbox, clock: SettableClock, audit: RecordedAudit
) -> None:
    post(service)
    clock.advance(minutes=15)
    assert service.mail.deliver(SECONDS).given_up == 1
    assert (postbox.taken, waiting(service)) == ([], 0)
    assert told(audit) == [("mail_given_up", "expired")]


def test_a_refused_address_is_given_up_and_the_others_get_theirs(
    service: bootstrap.Service, postbox: Postbox, audit: RecordedAudit
) -> None:
    post(service, "nobody@example.com")
    post(service)
    postbox.of_recipients = ["550 nobody here"]
    done = service.mail.deliver(SECONDS)
    assert (done.sent, done.given_up) == (1, 1)
    assert told(audit) == [("mail_given_up", "refused"), ("mail_sent", None)]


@pytest.mark.parametrize(
    "address", ["a..b@example.com", "gr\u00fc\u00dfe@example.com", "\u00e9\u00e9", "@", "x" * 300 + "@y"]
)
def test_an_address_that_no_mail_can_be_written_to_keeps_nobody_elses_mail(
    service: bootstrap.Service, postbox: Postbox, address: str
) -> None:
    post(service, address)
    post(service)
    done = service.mail.deliver(SECONDS)
    assert done.sent + done.given_up == 2
    assert postbox.taken[-1]["To"] == "ada@example.com"


def test_a_failure_that_nobody_has_foreseen_keeps_nobody_elses_mail_and_is_told(
    service: bootstrap.Service, postbox: Postbox, clock: SettableClock
) -> None:
    first, _ = post(service), post(service)

    class BreaksOnce:
        def send(self, letter: Letter) -> None:
            if letter.id == first.id:
                raise RuntimeError("broken")
            service.mail.deliver.courier.send(letter)

    with pytest.raises(RuntimeError, match="broken"):
        replace(service.mail.deliver, courier=BreaksOnce())(SECONDS)
    assert (len(postbox.taken), waiting(service)) == (1, 1)
    clock.advance(seconds=10)
    assert service.mail.deliver(SECONDS).sent == 1, "it was put off, and not lost"


def test_p7_what_waits_can_be_read_neither_without_the_key_nor_in_the_place_of_another(
    service: bootstrap.Service, audit: RecordedAudit, clock: SettableClock
) -> None:
    database, now = service.parts.database, clock()
    letter, other = post(service), post(service, "eve@example.com")
    (mine, hers) = database.read(lambda tx: tx.outbox.due(now, 2), Deadline.after(SECONDS))
    for canary in (b"ada@example.com", b"token-canary"):
        assert canary not in mine.sealed
    swapped = replace(mine, sealed=hers.sealed)
    database.transact(lambda tx: tx.outbox.remove(letter.id), Deadline.after(SECONDS), settle=last_counts)
    database.transact(lambda tx: tx.outbox.add(swapped), Deadline.after(SECONDS), settle=last_counts)
    done = service.mail.deliver(SECONDS)
    assert (done.sent, done.given_up) == (1, 1)
    assert [facts["mail_id"] for name, facts in audit.events if name == "mail_given_up"] == [str(letter.id)]
    assert other.id != letter.id


def test_a_server_that_is_killed_while_it_sends_loses_nothing_and_sends_no_second_message(
    database_url: str, service: bootstrap.Service, postbox: Postbox, tmp_path: Path, clock: SettableClock
) -> None:
    letter = post(service)
    first = Postbox(holds_back=threading.Event())
    assert first.holds_back
    with smtp_server(first) as port:
        sending: dict[str, str | float] = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "plain"}
        with running_server(database_url, tmp_path / "server", **sending) as server:
            assert first.arrived.wait(SECONDS)
            server.kill_all()  # It never hears that the mail was taken.
        first.holds_back.set()
    assert service.mail.deliver(SECONDS).sent == 0, "it is claimed still"
    clock.advance(minutes=2)
    assert service.mail.deliver(SECONDS).sent == 1
    assert [message["Message-ID"] for message in (*first.taken, *postbox.taken)] == [message_id(letter)] * 2


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_without_a_server_mail_is_written_into_a_folder_for_the_owner_alone(
    settings: Settings, clock: SettableClock
) -> None:
    service = bootstrap.assemble(settings, clock=clock, hash_cost=CHEAPEST)
    letter = post(service)
    service.mail.deliver(SECONDS)
    service.close()
    (file,) = (settings.data_dir / "mail").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert (file.suffix, message["Message-ID"]) == (".eml", message_id(letter))
    assert MASTER_KEY not in file.read_text()
