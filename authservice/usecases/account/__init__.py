"""What people do with their own accounts: one story per file."""

from dataclasses import dataclass

from authservice.usecases.account.begin_passkey_registration import BeginPasskeyRegistration
from authservice.usecases.account.change_email import ChangeEmail
from authservice.usecases.account.change_password import ChangePassword
from authservice.usecases.account.confirm_totp import ConfirmTotp
from authservice.usecases.account.delete_account import CancelDeletion, DeleteAccount
from authservice.usecases.account.enroll_totp import EnrollTotp
from authservice.usecases.account.erase_accounts import EraseAccounts
from authservice.usecases.account.estimate_password import EstimatePassword
from authservice.usecases.account.export_account import ExportAccount
from authservice.usecases.account.finish_passkey_registration import FinishPasskeyRegistration
from authservice.usecases.account.get_account import GetAccount
from authservice.usecases.account.list_factors import ListFactors
from authservice.usecases.account.list_sessions import ListSessions
from authservice.usecases.account.regenerate_recovery_codes import RegenerateRecoveryCodes
from authservice.usecases.account.remove_passkey import RemovePasskey
from authservice.usecases.account.remove_totp import RemoveTotp
from authservice.usecases.account.rename_passkey import RenamePasskey
from authservice.usecases.account.request_mail import RequestMail
from authservice.usecases.account.reset_password import ResetPassword
from authservice.usecases.account.revoke_other_sessions import RevokeOtherSessions
from authservice.usecases.account.revoke_session import RevokeSession
from authservice.usecases.account.update_account import UpdateAccount
from authservice.usecases.account.verify_email import VerifyEmail


@dataclass(frozen=True, slots=True)
class AccountStories:
    """The stories of this area, ready to be called. Live as long as the process."""

    list_sessions: ListSessions
    revoke_session: RevokeSession
    revoke_other_sessions: RevokeOtherSessions
    change_password: ChangePassword
    estimate_password: EstimatePassword
    get_account: GetAccount
    update_account: UpdateAccount
    export_account: ExportAccount
    delete_account: DeleteAccount
    cancel_deletion: CancelDeletion
    erase_accounts: EraseAccounts
    request_password_reset: RequestMail
    reset_password: ResetPassword
    request_email_verification: RequestMail
    verify_email: VerifyEmail
    change_email: ChangeEmail
    enroll_totp: EnrollTotp
    confirm_totp: ConfirmTotp
    remove_totp: RemoveTotp
    regenerate_recovery_codes: RegenerateRecoveryCodes
    list_factors: ListFactors
    begin_passkey_registration: BeginPasskeyRegistration
    finish_passkey_registration: FinishPasskeyRegistration
    rename_passkey: RenamePasskey
    remove_passkey: RemovePasskey
