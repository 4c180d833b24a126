"""ResetPassword: set a password with a token that came by mail."""

from dataclasses import dataclass
from datetime import datetime

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import OneTimeTokenInvalid
from authservice.domain.fields import Fields
from authservice.domain.mail import Letter, MailKind, Purpose
from authservice.domain.session import SessionEnd
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, Clock, Database, PasswordRules, Passwords, first_change_counts
from authservice.usecases.steps.one_time_tokens import Presented, RedeemToken
from authservice.usecases.steps.send_mail import SendMail


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """Sets passwords. No session comes of it: whoever has a second factor is asked for it at the next login."""

    database: Database[AuthStores]
    redeem: RedeemToken
    password_rules: PasswordRules
    passwords: Passwords
    send_mail: SendMail
    clock: Clock
    audit: Audit

    def __call__(self, token: str, new_password: str, deadline: Deadline) -> int:
        """Set the password, end all sessions, and return how many were live.

        Raises InvalidInput, OneTimeTokenInvalid, Overloaded, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        self.passwords.require_room()
        # Only whoever holds a good token learns what is wrong with a password, or has one hashed.
        presented = self.redeem.look(token, deadline, Purpose.RESET)
        user = presented.user
        self._check(new_password, user)
        new_hash = self.passwords.hash(new_password, deadline)
        now = self.clock()
        notice = self.send_mail.draft(MailKind.PASSWORD_CHANGED, user_name=user.name.typed)
        ended = self.database.transact(
            lambda tx: self._set(tx, presented, new_hash, notice, now), deadline, settle=first_change_counts
        )
        self.audit.record(events.PasswordReset(user_id=user.id, ended=ended))
        return ended

    def _check(self, new_password: str, user: User) -> None:
        fields = Fields()
        fields.read("new_password", self.password_rules.read, new_password, [user.name.typed, user.email or ""])
        fields.require_valid()

    def _set(self, tx: AuthStores, presented: Presented, new_hash: str, notice: Letter, now: datetime) -> int:
        current = tx.users.lock(presented.user.id)
        if self.redeem.has_spent(tx, presented):
            return 0
        current = self.redeem.spend(tx, presented, current, now)
        if not tx.users.set_password(current.id, current.secret_generation, new_hash):
            raise OneTimeTokenInvalid
        if current.email == presented.issued.address:
            tx.email_claims.confirm(current.email, current.id, now)
        self.send_mail.notify(tx, current, notice)
        return tx.sessions.end_all(current.id, SessionEnd.PASSWORD_RESET, now)
