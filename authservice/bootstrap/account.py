"""Puts the area `account` together."""

from authservice.bootstrap.parts import Parts
from authservice.bootstrap.passwords import password_rules, passwords
from authservice.usecases.account import AccountStories
from authservice.usecases.account.change_password import ChangePassword
from authservice.usecases.account.list_sessions import ListSessions
from authservice.usecases.account.revoke_other_sessions import RevokeOtherSessions
from authservice.usecases.account.revoke_session import RevokeSession
from authservice.usecases.steps.count_attempt import CountAttempt


def build(parts: Parts) -> AccountStories:
    """Return the area's stories."""
    database, clock, audit = parts.database, parts.clock, parts.audit
    return AccountStories(
        list_sessions=ListSessions(database, clock),
        revoke_session=RevokeSession(database, clock, audit),
        revoke_other_sessions=RevokeOtherSessions(database, clock, audit),
        change_password=ChangePassword(
            database,
            password_rules(parts),
            passwords(parts),
            CountAttempt(database, parts.fingerprints, clock),
            clock,
            audit,
        ),
    )
