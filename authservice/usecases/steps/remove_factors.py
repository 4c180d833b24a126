"""Taking second factors away, with every session that they may have opened."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from authservice.domain.second_factor import SEVERAL
from authservice.domain.session import SessionEnd
from authservice.ports import AuthStores
from authservice.usecases.steps.second_factors import second_factors_of


def remove_totp(tx: AuthStores, user_id: UUID, now: datetime, keep: UUID | None = None) -> int | None:
    """Forget the app of a user, who has to be locked, and end their sessions except `keep`.

    The recovery codes go with the last factor. Returns how many sessions were live; None where there is no app, and
    nothing is done.
    """
    return _without(tx, user_id, now, keep) if tx.totp_factors.remove(user_id) else None


def remove_passkey(tx: AuthStores, user_id: UUID, passkey_id: UUID, now: datetime, keep: UUID) -> int | None:
    """Forget a passkey of a user. Otherwise as `remove_totp`."""
    return _without(tx, user_id, now, keep) if tx.passkeys.remove(user_id, passkey_id) else None


def remove_all(tx: AuthStores, user_id: UUID, now: datetime) -> int | None:
    """Forget all second factors of a user, and end all sessions. Otherwise as `remove_totp`."""
    had_app, had_passkeys = tx.totp_factors.remove(user_id), tx.passkeys.remove_all(user_id)
    return _without(tx, user_id, now, None) if had_app or had_passkeys else None


def _without(tx: AuthStores, user_id: UUID, now: datetime, keep: UUID | None) -> int:
    if not second_factors_of(tx, user_id).is_set_up:
        tx.recovery_codes.replace(user_id, [], now)
        if keep:
            _weaken(tx, user_id, keep)
    tx.users.begin_secret_generation(user_id)
    return tx.sessions.end_all(user_id, SessionEnd.FACTOR_REMOVED, now, keep)


def _weaken(tx: AuthStores, user_id: UUID, session_id: UUID) -> None:
    """Have a session, and the tokens that it has given out, no longer tell of several factors: there are none."""
    held = tx.sessions.hold_each({session_id}).get(session_id)
    if held:
        methods = tuple(name for name in held[0].auth_methods if name != SEVERAL)
        tx.sessions.step_up(replace(held[0], auth_methods=methods))
    tx.sessions.outdate_tokens(user_id, tx.users.begin_generation(user_id))
