"""What people do with their own accounts: one story per file."""

from dataclasses import dataclass

from authservice.usecases.account.change_password import ChangePassword
from authservice.usecases.account.estimate_password import EstimatePassword
from authservice.usecases.account.list_sessions import ListSessions
from authservice.usecases.account.revoke_other_sessions import RevokeOtherSessions
from authservice.usecases.account.revoke_session import RevokeSession


@dataclass(frozen=True, slots=True)
class AccountStories:
    """The stories of this area, ready to be called. Live as long as the process."""

    list_sessions: ListSessions
    revoke_session: RevokeSession
    revoke_other_sessions: RevokeOtherSessions
    change_password: ChangePassword
    estimate_password: EstimatePassword
