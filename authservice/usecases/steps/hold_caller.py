"""The caller as they are while they change something, and not as they were when the call came."""

from datetime import datetime

from authservice.domain.caller import Caller
from authservice.domain.errors import MfaRequired, SessionEnded
from authservice.domain.second_factor import SEVERAL
from authservice.domain.session import Session
from authservice.domain.user import User
from authservice.ports import AuthStores
from authservice.usecases.steps.second_factors import second_factors_of


def hold_caller(tx: AuthStores, caller: Caller, now: datetime) -> tuple[User, Session]:
    """Return the user and the session that calls, both locked until the transaction ends.

    Raises SessionEnded where the session has ended, or its user was disabled, since the guard let the call in.
    """
    user = tx.users.lock(caller.user_id)
    held = tx.sessions.hold_each({caller.session_id}).get(caller.session_id)
    if user is None or not user.is_active or held is None or not held[0].is_live(now):
        raise SessionEnded
    return user, held[0]


def see_caller(tx: AuthStores, caller: Caller) -> tuple[User, Session]:
    """Return the same of a moment ago, to answer early: nothing is locked. Raises SessionEnded where there is none."""
    found = tx.sessions.get(caller.session_id)
    if found is None:
        raise SessionEnded
    session, user = found
    return user, session


def require_strongest(tx: AuthStores, user: User, auth_methods: tuple[str, ...]) -> None:
    """Raise MfaRequired where a user has a second factor and a session tells of none.

    Whoever sets a factor up may do so because somebody else knows the password. A session of that somebody goes on with
    what it had, and changes nothing that proves the user.
    """
    if SEVERAL not in auth_methods and second_factors_of(tx, user.id).is_set_up:
        raise MfaRequired
