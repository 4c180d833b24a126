"""Puts the area `account` together."""

from authservice.bootstrap.parts import Parts
from authservice.bootstrap.passwords import password_policy, passwords
from authservice.bootstrap.throttling import admit_attempt
from authservice.security.password_policy import PooledStrength
from authservice.usecases.account import AccountStories
from authservice.usecases.account.change_password import ChangePassword
from authservice.usecases.account.estimate_password import EstimatePassword
from authservice.usecases.account.list_sessions import ListSessions
from authservice.usecases.account.revoke_other_sessions import RevokeOtherSessions
from authservice.usecases.account.revoke_session import RevokeSession


def build(parts: Parts) -> AccountStories:
    """Return the area's stories."""
    database, clock, audit = parts.database, parts.clock, parts.audit
    policy = password_policy(parts.settings)
    return AccountStories(
        list_sessions=ListSessions(database, clock),
        revoke_session=RevokeSession(database, clock, audit),
        revoke_other_sessions=RevokeOtherSessions(database, clock, audit),
        change_password=ChangePassword(database, policy, passwords(parts), admit_attempt(parts), clock, audit),
        estimate_password=EstimatePassword(PooledStrength(policy, parts.hash_pool)),
    )
