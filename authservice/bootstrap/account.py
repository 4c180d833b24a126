"""Puts the area `account` together."""

from authservice.bootstrap.mail import redeem_token, send_mail
from authservice.bootstrap.parts import Parts
from authservice.security.emails import Emails
from authservice.usecases.account import AccountStories
from authservice.usecases.account.change_email import ChangeEmail
from authservice.usecases.account.list_sessions import ListSessions
from authservice.usecases.account.request_email_verification import RequestEmailVerification
from authservice.usecases.account.request_password_reset import RequestPasswordReset
from authservice.usecases.account.reset_password import ResetPassword
from authservice.usecases.account.revoke_other_sessions import RevokeOtherSessions
from authservice.usecases.account.revoke_session import RevokeSession
from authservice.usecases.account.verify_email import VerifyEmail


def build(parts: Parts) -> AccountStories:
    """Return the area's stories."""
    database, clock, audit = parts.database, parts.clock, parts.audit
    send, redeem = send_mail(parts), redeem_token(parts)
    return AccountStories(
        list_sessions=ListSessions(database, clock),
        revoke_session=RevokeSession(database, clock, audit),
        revoke_other_sessions=RevokeOtherSessions(database, clock, audit),
        request_password_reset=RequestPasswordReset(database, send, audit),
        reset_password=ResetPassword(database, redeem, parts.password_rules, parts.passwords, send, clock, audit),
        request_email_verification=RequestEmailVerification(database, send, audit),
        verify_email=VerifyEmail(database, redeem, send, clock, audit),
        change_email=ChangeEmail(database, Emails(), send, audit),
    )
