"""VerifyEmail: confirm an address with a token that came by mail there."""

from dataclasses import dataclass
from datetime import datetime

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import OneTimeTokenInvalid
from authservice.domain.mail import Letter, MailKind, Purpose
from authservice.domain.session import SessionEnd
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, Clock, Database, first_change_counts
from authservice.usecases.steps.one_time_tokens import Presented, RedeemToken
from authservice.usecases.steps.send_mail import SendMail


@dataclass(frozen=True, slots=True)
class VerifyEmail:
    """Confirms the address of an account, or the one that is to take its place."""

    database: Database[AuthStores]
    redeem: RedeemToken
    send_mail: SendMail
    clock: Clock
    audit: Audit

    def __call__(self, token: str, deadline: Deadline) -> int:
        """Confirm the address that the token was sent to. Returns how many sessions a change has ended.

        Raises OneTimeTokenInvalid, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        presented = self.redeem.look(token, deadline, Purpose.VERIFY_EMAIL, Purpose.CHANGE_EMAIL)
        user, now = presented.user, self.clock()
        notice = self.send_mail.draft(MailKind.EMAIL_CHANGED)
        ended = self.database.transact(
            lambda tx: self._confirm(tx, presented, notice, now), deadline, settle=first_change_counts
        )
        if presented.token.purpose is Purpose.CHANGE_EMAIL:
            self.audit.record(events.EmailChanged(user_id=user.id, ended=ended))
        else:
            self.audit.record(events.EmailConfirmed(user_id=user.id))
        return ended

    def _confirm(self, tx: AuthStores, presented: Presented, notice: Letter, now: datetime) -> int:
        current = tx.users.lock(presented.user.id)
        address = presented.issued.address
        if self.redeem.has_spent(tx, presented):
            return 0
        current = self.redeem.spend(tx, presented, current, now)
        is_change = presented.token.purpose is Purpose.CHANGE_EMAIL
        if not is_change and current.email != address:
            raise OneTimeTokenInvalid
        if is_change:
            self.send_mail.notify(tx, current, notice)  # To the address that was, while it is theirs.
        if not tx.email_claims.confirm(address, current.id, now):
            raise OneTimeTokenInvalid  # Somebody else has proved it theirs meanwhile.
        return self._change(tx, current, address, now) if is_change else 0

    def _change(self, tx: AuthStores, user: User, address: str, now: datetime) -> int:
        if not tx.users.set_email(user, address):
            raise OneTimeTokenInvalid
        tx.email_claims.release(user.id, keep=address)
        return tx.sessions.end_all(user.id, SessionEnd.EMAIL_CHANGED, now)
