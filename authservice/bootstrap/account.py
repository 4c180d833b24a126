"""Puts the area `account` together."""

from datetime import timedelta

from authservice.bootstrap import second_factor
from authservice.bootstrap.mail import redeem_token, send_mail
from authservice.bootstrap.parts import Parts
from authservice.bootstrap.passwords import password_policy, passwords
from authservice.bootstrap.sizes import session_limits
from authservice.bootstrap.throttling import admit_attempt, admit_mail_request
from authservice.domain.mail import MailKind
from authservice.security.emails import Emails
from authservice.security.password_policy import PooledStrength
from authservice.storage.wiping import wipe
from authservice.usecases.account import AccountStories
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
from authservice.usecases.steps.set_password import SetPassword


def build(parts: Parts) -> AccountStories:
    """Return the area's stories."""
    database, fingerprints, clock, audit = parts.database, parts.fingerprints, parts.clock, parts.audit
    grace = timedelta(days=parts.settings.deletion_grace_days)
    policy, hashes = password_policy(parts.settings), passwords(parts)
    send, redeem, admit = send_mail(parts), redeem_token(parts), admit_mail_request(parts)
    set_password = SetPassword(send)
    factor, limits = second_factor.build(parts), session_limits(parts.settings)
    return AccountStories(
        list_sessions=ListSessions(database, clock),
        revoke_session=RevokeSession(database, clock, audit),
        revoke_other_sessions=RevokeOtherSessions(database, clock, audit),
        change_password=ChangePassword(database, policy, hashes, admit_attempt(parts), set_password, clock, audit),
        estimate_password=EstimatePassword(PooledStrength(policy, parts.hash_pool)),
        get_account=GetAccount(database),
        update_account=UpdateAccount(database, audit),
        export_account=ExportAccount(database, fingerprints, clock, audit),
        delete_account=DeleteAccount(database, grace, send, clock, audit),
        cancel_deletion=CancelDeletion(database, clock, audit),
        erase_accounts=EraseAccounts(database, fingerprints, lambda: wipe(parts.engine), clock, audit),
        request_password_reset=RequestMail(database, MailKind.RESET_ASKED, admit, send, audit),
        reset_password=ResetPassword(database, redeem, policy, hashes, set_password, fingerprints, clock, audit),
        request_email_verification=RequestMail(database, MailKind.VERIFY_EMAIL_ASKED, admit, send, audit),
        verify_email=VerifyEmail(database, redeem, send, clock, audit),
        change_email=ChangeEmail(database, Emails(), admit, send, audit),
        enroll_totp=EnrollTotp(database, factor.enroll, clock, audit),
        confirm_totp=ConfirmTotp(database, factor.admit_code, factor.enroll, send, limits, clock, audit),
        remove_totp=RemoveTotp(database, send, audit),
        regenerate_recovery_codes=RegenerateRecoveryCodes(database, factor.enroll, send, clock, audit),
        list_factors=ListFactors(database),
        begin_passkey_registration=BeginPasskeyRegistration(database, factor.begin_ceremony, factor.use_passkey),
        finish_passkey_registration=FinishPasskeyRegistration(
            database, factor.ceremony_tokens, factor.use_passkey, factor.enroll, send, limits, clock, audit
        ),
        rename_passkey=RenamePasskey(database, audit),
        remove_passkey=RemovePasskey(database, send, audit),
    )
