"""Taking a second factor away, with every session that it may have opened."""

from datetime import datetime
from uuid import UUID

from authservice.domain.session import SessionEnd
from authservice.ports import AuthStores


def remove_totp(tx: AuthStores, user_id: UUID, now: datetime, keep: UUID | None = None) -> int | None:
    """Forget the app and the recovery codes of a user, who has to be locked, and end their sessions except `keep`.

    Returns how many were live; None where there is no app, and nothing is done.
    """
    if not tx.totp_factors.remove(user_id):
        return None
    tx.recovery_codes.replace(user_id, [], now)
    tx.users.begin_secret_generation(user_id)
    return tx.sessions.end_all(user_id, SessionEnd.FACTOR_REMOVED, now, keep)
