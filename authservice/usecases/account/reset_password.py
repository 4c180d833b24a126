"""ResetPassword: set a password with a token that came by mail."""

from dataclasses import dataclass

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import OneTimeTokenInvalid
from authservice.domain.fields import Fields
from authservice.domain.mail import Purpose
from authservice.domain.session import SessionEnd
from authservice.domain.user import NewPassword, User
from authservice.ports import (
    Audit,
    AuthStores,
    Clock,
    Database,
    Fingerprints,
    PasswordRules,
    Passwords,
    first_change_counts,
)
from authservice.usecases.steps.admit_attempt import account_of
from authservice.usecases.steps.one_time_tokens import Presented, RedeemToken
from authservice.usecases.steps.set_password import Replacement, SetPassword


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """Sets passwords. No session comes of it: whoever has a second factor is asked for it at the next login."""

    database: Database[AuthStores]
    redeem: RedeemToken
    password_rules: PasswordRules
    passwords: Passwords
    set_password: SetPassword
    fingerprints: Fingerprints
    clock: Clock
    audit: Audit

    def __call__(self, token: str, new_password: str, deadline: Deadline) -> int:
        """Set the password, end all sessions, and return how many were live.

        Raises InvalidInput, OneTimeTokenInvalid, PasswordCheckUnavailable, Overloaded, DeadlineTooShort,
        StorageUnavailable, Conflict.
        """
        self.passwords.require_room()
        # Only whoever holds a good token learns what is wrong with a password, or has one hashed.
        presented = self.redeem.look(token, deadline, Purpose.RESET)
        user = presented.user
        self._check(new_password, user)
        new = NewPassword(self.passwords.hash(new_password, deadline))
        replacement = self.set_password.draft(new, SessionEnd.PASSWORD_RESET, self.clock())
        ended = self.database.transact(
            lambda tx: self._set(tx, presented, replacement), deadline, settle=first_change_counts
        )
        self.audit.record(events.PasswordReset(user_id=user.id, ended=ended))
        return ended

    def _check(self, new_password: str, user: User) -> None:
        fields = Fields()
        fields.read("new_password", self.password_rules.read, new_password, [user.name.typed, user.email or ""])
        fields.require_valid()

    def _set(self, tx: AuthStores, presented: Presented, replacement: Replacement) -> int:
        current = tx.users.lock(presented.user.id)
        if self.redeem.has_spent(tx, presented):
            return 0
        current = self.redeem.spend(tx, presented, current, replacement.at)
        # The mail was read there, and nobody else has confirmed the address meanwhile.
        if current.email != presented.issued.address or not tx.email_claims.confirm(
            current.email, current.id, replacement.at
        ):
            raise OneTimeTokenInvalid
        ended = self.set_password(tx, current, replacement)
        if ended is None:
            raise OneTimeTokenInvalid
        # Whoever could not get in for all the guesses of others has proved who they are.
        tx.attempts.clear_owned(account_of(current.id, self.fingerprints))
        return ended
