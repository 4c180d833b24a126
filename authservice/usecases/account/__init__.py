"""What people do with their own accounts: one story per file."""

from dataclasses import dataclass

from authservice.usecases.account.change_email import ChangeEmail
from authservice.usecases.account.list_sessions import ListSessions
from authservice.usecases.account.request_email_verification import RequestEmailVerification
from authservice.usecases.account.request_password_reset import RequestPasswordReset
from authservice.usecases.account.reset_password import ResetPassword
from authservice.usecases.account.revoke_other_sessions import RevokeOtherSessions
from authservice.usecases.account.revoke_session import RevokeSession
from authservice.usecases.account.verify_email import VerifyEmail


@dataclass(frozen=True, slots=True)
class AccountStories:
    """The stories of this area, ready to be called. Live as long as the process."""

    list_sessions: ListSessions
    revoke_session: RevokeSession
    revoke_other_sessions: RevokeOtherSessions
    request_password_reset: RequestPasswordReset
    reset_password: ResetPassword
    request_email_verification: RequestEmailVerification
    verify_email: VerifyEmail
    change_email: ChangeEmail
