"""Setting a password, whoever does it: what was proved by the one before ends with it."""

from datetime import datetime
from uuid import UUID

from authservice.domain.session import SessionEnd
from authservice.domain.user import NewPassword, User
from authservice.ports import AuthStores


def set_password(
    tx: AuthStores, user: User, new: NewPassword, reason: SessionEnd, now: datetime, keep: UUID | None = None
) -> int | None:
    """Replace the password of `user`, as they were read, and end their sessions except `keep`.

    Returns how many were live; None if what proves them has changed since they were read, and then does nothing. May be
    repeated in another run of the transaction.
    """
    if not tx.users.set_password(user, new):
        current = tx.users.lock(user.id)
        # Hashes have salts of their own: one that is there already was put there by an earlier run.
        if current is None or current.password_hash != new.hash:
            return None
    return tx.sessions.end_all(user.id, reason, now, keep)
