"""What people do with their own accounts: one story per file."""

from dataclasses import dataclass

from authservice.usecases.account.confirm_totp import ConfirmTotp
from authservice.usecases.account.enroll_totp import EnrollTotp
from authservice.usecases.account.list_factors import ListFactors
from authservice.usecases.account.list_sessions import ListSessions
from authservice.usecases.account.regenerate_recovery_codes import RegenerateRecoveryCodes
from authservice.usecases.account.remove_totp import RemoveTotp
from authservice.usecases.account.revoke_other_sessions import RevokeOtherSessions
from authservice.usecases.account.revoke_session import RevokeSession


@dataclass(frozen=True, slots=True)
class AccountStories:
    """The stories of this area, ready to be called. Live as long as the process."""

    list_sessions: ListSessions
    revoke_session: RevokeSession
    revoke_other_sessions: RevokeOtherSessions
    enroll_totp: EnrollTotp
    confirm_totp: ConfirmTotp
    remove_totp: RemoveTotp
    regenerate_recovery_codes: RegenerateRecoveryCodes
    list_factors: ListFactors
