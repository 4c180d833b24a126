"""Inviting somebody to make an account."""

from dataclasses import dataclass, replace
from datetime import datetime

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.mail import MailKind, Purpose
from authservice.ports import (
    Audit,
    AuthStores,
    Clock,
    Database,
    EmailRules,
    Fingerprints,
    first_change_counts,
    last_counts,
)
from authservice.usecases.steps.one_time_tokens import IssueToken, slot_of
from authservice.usecases.steps.send_mail import SendMail


class AlreadyThere(Exception):
    """An account has confirmed the address. For operators only: callers of the service never learn this."""


@dataclass(frozen=True, slots=True)
class Invite:
    """Has invitations sent, and withdraws them. A newer one to the same address takes the place of the one before."""

    database: Database[AuthStores]
    emails: EmailRules
    issue_token: IssueToken
    send_mail: SendMail
    fingerprints: Fingerprints
    clock: Clock
    audit: Audit

    def __call__(self, email: str, deadline: Deadline) -> datetime:
        """Invite, and return until when. Raises FieldRejected, AlreadyThere, StorageUnavailable, Conflict."""
        address = self.emails.read(email)
        claim = self.database.read(lambda tx: tx.email_claims.holder(address), deadline)
        if claim and claim.confirmed_at:
            raise AlreadyThere
        token = self.issue_token.new(Purpose.INVITE)
        draft = self.send_mail.draft(MailKind.INVITATION, self.issue_token.lives[Purpose.INVITE], token=token.text)
        letter = replace(draft, address=address)

        def send(tx: AuthStores) -> None:
            self.issue_token(tx, token, None, address, letter.written_at)
            self.send_mail(tx, letter)

        self.database.transact(send, deadline, settle=last_counts)
        self.audit.record(events.PersonInvited(mail_id=letter.id))
        return letter.expires_at

    def withdraw(self, email: str, deadline: Deadline) -> bool:
        """Have nobody register with what was sent to an address. Tells whether anybody could have.

        Raises FieldRejected, StorageUnavailable, Conflict.
        """
        slot, now = slot_of(Purpose.INVITE, self.emails.read(email), self.fingerprints), self.clock()
        was_good = self.database.transact(
            lambda tx: tx.one_time_tokens.withdraw(slot, now), deadline, settle=first_change_counts
        )
        if was_good:
            self.audit.record(events.InvitationWithdrawn())
        return was_good
