"""Sending what is in the outbox.

A mail is claimed before it is sent and deleted after it was: whoever dies in between loses nothing, and another one
sends it again once the claim has run out, as the same message.
"""

import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError
from authservice.domain.events import GivenUp
from authservice.domain.mail import QueuedMail
from authservice.ports import (
    Audit,
    AuthStores,
    Clock,
    Courier,
    CourierAway,
    Database,
    Envelopes,
    EnvelopeUnreadable,
    MailPutOff,
    MailRefused,
    first_change_counts,
    last_counts,
)
from authservice.usecases.mail.answer_asked import AnswerAsked

STEP_SECONDS = 10.0
FIRST_PAUSE = 5.0
"""Seconds before the second attempt. Doubled for each one after it."""
LONGEST_PAUSE = 900.0


@dataclass(slots=True)
class Round:
    """What became of the mails of one round."""

    sent: int = 0
    put_off: int = 0
    given_up: int = 0
    unforeseen: Exception | None = None


@dataclass(frozen=True, slots=True)
class Deliver:
    """Sends mail, one at a time.

    Args:
        claimed_for: how long nobody else touches a mail that is being sent. Longer than sending one may take.
    """

    database: Database[AuthStores]
    envelopes: Envelopes
    answer_asked: AnswerAsked
    courier: Courier
    clock: Clock
    audit: Audit
    claimed_for: timedelta
    batch: int = 20

    def __call__(self, seconds: float) -> Round:
        """Send what is due, for at most about `seconds`.

        Raises CourierAway where no mail can be sent now, StorageUnavailable, Conflict.
        """
        give_up = time.monotonic() + seconds
        done = Round()
        while time.monotonic() < give_up and (mails := self._due()):
            for mail in mails:
                if self._claim(mail):
                    self._handle_apart(mail, done)
                if time.monotonic() >= give_up:
                    break
        if done.unforeseen:
            raise done.unforeseen
        return done

    def _handle_apart(self, mail: QueuedMail, done: Round) -> None:
        """Handle a mail. A failure that nobody has foreseen keeps no other mail waiting: this one is put off."""
        try:
            self._handle(mail, done)
        except (AuthError, CourierAway):
            raise
        except Exception as error:  # raised at the end of the round
            self._put_off(mail, done)
            done.unforeseen = error

    def _due(self) -> list[QueuedMail]:
        now = self.clock()
        return self.database.read(lambda tx: tx.outbox.due(now, self.batch), Deadline.after(STEP_SECONDS))

    def _claim(self, mail: QueuedMail) -> bool:
        until = self.clock() + self.claimed_for
        return self.database.transact(
            lambda tx: tx.outbox.claim(mail, until), Deadline.after(STEP_SECONDS), settle=first_change_counts
        )

    def _handle(self, mail: QueuedMail, done: Round) -> None:
        if self.clock() >= mail.expires_at:
            return self._give_up(mail, GivenUp.EXPIRED, done)
        try:
            letter = self.envelopes.open(mail)
        except EnvelopeUnreadable:
            return self._give_up(mail, GivenUp.UNREADABLE, done)
        if letter.kind.is_asked:
            return self.answer_asked(letter)
        try:
            self.courier.send(letter)
        except MailRefused:
            return self._give_up(mail, GivenUp.REFUSED, done)
        except MailPutOff:
            return self._put_off(mail, done)
        except CourierAway:
            self._put_off(mail, done)
            raise
        self._remove(mail)
        self.audit.record(events.MailSent(mail_id=mail.id, kind=mail.kind, attempts=mail.attempts + 1))
        done.sent += 1
        return None

    def _give_up(self, mail: QueuedMail, reason: GivenUp, done: Round) -> None:
        self._remove(mail)
        self.audit.record(
            events.MailGivenUp(mail_id=mail.id, kind=mail.kind, attempts=mail.attempts + 1, reason=reason)
        )
        done.given_up += 1

    def _put_off(self, mail: QueuedMail, done: Round) -> None:
        due_at = next_attempt(self.clock(), mail.attempts)
        self.database.transact(
            lambda tx: tx.outbox.put_off(mail.id, due_at), Deadline.after(STEP_SECONDS), settle=last_counts
        )
        done.put_off += 1

    def _remove(self, mail: QueuedMail) -> None:
        self.database.transact(lambda tx: tx.outbox.remove(mail.id), Deadline.after(STEP_SECONDS), settle=last_counts)


def next_attempt(now: datetime, attempts_before: int) -> datetime:
    """Return when to try again after an attempt that failed at `now`."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempts_before, 16))
    # So that what failed together is not tried again together.
    return now + timedelta(seconds=pause * (0.75 + random.random() / 2))  # noqa: S311  # spreads, hides nothing
