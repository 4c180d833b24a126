"""Puts the area `account` together."""

from authservice.bootstrap import second_factor
from authservice.bootstrap.parts import Parts
from authservice.bootstrap.sizes import session_limits
from authservice.usecases.account import AccountStories
from authservice.usecases.account.confirm_totp import ConfirmTotp
from authservice.usecases.account.enroll_totp import EnrollTotp
from authservice.usecases.account.list_factors import ListFactors
from authservice.usecases.account.list_sessions import ListSessions
from authservice.usecases.account.regenerate_recovery_codes import RegenerateRecoveryCodes
from authservice.usecases.account.remove_totp import RemoveTotp
from authservice.usecases.account.revoke_other_sessions import RevokeOtherSessions
from authservice.usecases.account.revoke_session import RevokeSession


def build(parts: Parts) -> AccountStories:
    """Return the area's stories."""
    database, clock, audit = parts.database, parts.clock, parts.audit
    factor, limits = second_factor.build(parts), session_limits(parts.settings)
    return AccountStories(
        list_sessions=ListSessions(database, clock),
        revoke_session=RevokeSession(database, clock, audit),
        revoke_other_sessions=RevokeOtherSessions(database, clock, audit),
        enroll_totp=EnrollTotp(database, factor.enroll, clock, audit),
        confirm_totp=ConfirmTotp(database, factor.count_code, factor.enroll, limits, clock, audit),
        remove_totp=RemoveTotp(database, clock, audit),
        regenerate_recovery_codes=RegenerateRecoveryCodes(database, factor.enroll, clock, audit),
        list_factors=ListFactors(database),
    )
