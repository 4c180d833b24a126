"""Putting mail into the outbox, in the transaction that it is about."""

from dataclasses import dataclass, replace
from datetime import timedelta

from authservice.domain.mail import MOST_AN_HOUR, NOTICES_KEPT, Letter, MailKind
from authservice.domain.user import User
from authservice.ports import AuthStores, Clock, Envelopes, Fingerprints, NewId
from authservice.usecases.steps.own_claim import own_claim


@dataclass(frozen=True, slots=True)
class SendMail:
    """Writes letters before a transaction, so that it bears repetition, and keeps them inside of it."""

    envelopes: Envelopes
    fingerprints: Fingerprints
    new_id: NewId
    clock: Clock

    def draft(self, kind: MailKind, life: timedelta = NOTICES_KEPT, **facts: str) -> Letter:
        """Return a letter that is written now and given up after `life`."""
        now = self.clock()
        return Letter(self.new_id(), kind, facts, now, now + life)

    def __call__(self, tx: AuthStores, letter: Letter) -> None:
        """Keep a letter."""
        tx.outbox.add(self.envelopes.seal(letter))

    def notify(self, tx: AuthStores, user: User, notice: Letter) -> None:
        """Keep a notice for a user, which names them, if the address is theirs.

        Whoever has proved it hears of everything; one that was only named gets no more than others can ask for.
        """
        claim = own_claim(tx, user)
        if user.email is None or claim is None:
            return
        if claim.confirmed_at or self.may_ask(tx, user.email, notice):
            facts = {"user_name": user.name.typed, **notice.facts}
            self(tx, replace(notice, address=user.email, user_id=user.id, facts=facts))

    def may_ask(self, tx: AuthStores, address: str, letter: Letter) -> bool:
        """Count a letter that somebody asked for. Tells whether the address may be sent one more in this hour.

        Each kind has a count of its own, so that nobody spends on one what another needs.
        """
        return self._take(tx, f"mailed {letter.kind.value}", address, letter)

    def may_have_asked(self, tx: AuthStores, user: User, letter: Letter) -> bool:
        """Count a letter that a user asked for, to whatever address."""
        return self._take(tx, f"asked {letter.kind.value}", str(user.id), letter)

    def _take(self, tx: AuthStores, kind: str, subject: str, letter: Letter) -> bool:
        return tx.mail_quotas.take(self.fingerprints.of(kind, subject), letter.written_at, MOST_AN_HOUR)
