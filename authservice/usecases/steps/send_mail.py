"""Putting mail into the outbox, in the transaction that it is about."""

from dataclasses import dataclass, replace
from datetime import timedelta

from authservice.domain.mail import MOST_AN_HOUR, NOTICES_KEPT, Letter, MailKind
from authservice.domain.user import User
from authservice.ports import AuthStores, Clock, Envelopes, Fingerprints, NewId


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
        claim = tx.email_claims.holder(user.email) if user.email else None
        if user.email is None or claim is None or claim.user_id != user.id:
            return
        if claim.confirmed_at or self.may_ask(tx, user.email, notice):
            facts = {"user_name": user.name.typed, **notice.facts}
            self(tx, replace(notice, address=user.email, user_id=user.id, facts=facts))

    def may_ask(self, tx: AuthStores, address: str, letter: Letter) -> bool:
        """Count a letter that somebody asked for. Tells whether the address may be sent one more in this hour."""
        return tx.mail_quotas.take(self.fingerprints.of("mailed", address), letter.written_at, MOST_AN_HOUR)
