"""Setting a password, whoever does it: what was proved by the one before ends with it, and its owner is told."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from authservice.domain.mail import Letter, MailKind
from authservice.domain.session import SessionEnd
from authservice.domain.user import NewPassword, User
from authservice.ports import AuthStores
from authservice.usecases.steps.send_mail import SendMail


@dataclass(frozen=True, slots=True)
class Replacement:
    """A password that is to be set: made before the transaction, so that this may be repeated.

    Args:
        reason: why sessions end.
        at: when.
        notice: what the owner is told.
    """

    new: NewPassword
    reason: SessionEnd
    at: datetime
    notice: Letter


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Replaces passwords. Whatever sets one does it here."""

    send_mail: SendMail

    def draft(self, new: NewPassword, reason: SessionEnd, at: datetime) -> Replacement:
        """Return what is going to be set."""
        return Replacement(new, reason, at, self.send_mail.draft(MailKind.PASSWORD_CHANGED))

    def __call__(self, tx: AuthStores, user: User, replacement: Replacement, keep: UUID | None = None) -> int | None:
        """Replace the password of `user`, as they were read, and end their sessions except `keep`.

        Returns how many were live; None if what proves them has changed since they were read, and then does nothing.
        May be repeated in another run of the transaction.
        """
        if not tx.users.set_password(user, replacement.new):
            current = tx.users.lock(user.id)
            # Hashes have salts of their own: one that is there already was put there by an earlier run.
            if current is None or current.password_hash != replacement.new.hash:
                return None
        self.send_mail.notify(tx, user, replacement.notice)
        return tx.sessions.end_all(user.id, replacement.reason, replacement.at, keep)
